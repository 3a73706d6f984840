/**
 * What an answer's status and headers say.
 *
 * @module
 */

import type { Problem } from './api.js';

/** Problems whose type is the profile's. */
export const profile: WeakSet<Problem> = new WeakSet();

/** Whether a problem's type is the profile's. */
export function ours(type: unknown): boolean {
  return typeof type === 'string' && type.startsWith('urn:bmap:problem:');
}

/**
 * The code by which the guard itself refused: of `WWW-Authenticate: HTTPSig error="…"`, or of a problem document whose type is the
 * profile's where a proxy or CORS took that header away. A tool's own problem document is neither.
 */
export function refusalCode(response: Response, problem: Problem | undefined): string | undefined {
  const challenge = /\bHTTPSig\b.*?\berror="([a-z_]+)"/i.exec(response.headers.get('www-authenticate') ?? '')?.[1];
  return challenge ?? (problem && profile.has(problem) ? problem.code : undefined);
}

/** `Retry-After` in seconds; `undefined` where it is absent or no plain number. A date is not read: the page's clock may be wrong. */
export function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

/** Milliseconds to wait before a `clock_skew` is repaired, if that is short enough to wait for; `undefined` if it is not. */
export function shortWait(response: Response): number | undefined {
  const seconds = response.headers.has('retry-after') ? retryAfter(response) : 0;
  return seconds !== undefined && seconds <= 2 ? seconds * 1000 : undefined;
}

/** Whether an answer is a redirect that was not followed. */
export function redirected(response: Response): boolean {
  return response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400 && response.headers.has('location'));
}
