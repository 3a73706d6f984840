/**
 * Refusals as the issuer and every verifier send them: `application/problem+json` (RFC 9457) with a stable code, and the same code
 * in `WWW-Authenticate`.
 *
 * @module
 */

import type { Answer, Problem } from './api.js';

/**
 * The refusal in an answer of the tool's guard; `undefined` where the answer is the tool's own.
 *
 * Reads a copy: the response's body can still be read afterwards, but not before.
 */
export async function problemOf(answer: Answer): Promise<Problem | undefined> {
  const response = answer as Response;
  const type = /^application\/(problem\+)?json\b/i.exec(response.headers.get('content-type') ?? '');
  if (response.ok || !type) return undefined;
  try {
    const body = (await response.clone().json()) as Record<string, unknown>;
    // The token endpoint answers in plain JSON where a wrapper of `fetch` asks for it; the type says whose problem it is.
    if (typeof body.code !== 'string' || !(type[1] || ours(body.type))) return undefined;
    const problem: Problem = {
      code: body.code,
      title: typeof body.title === 'string' ? body.title : body.code,
      status: response.status,
      requestId: typeof body.request_id === 'string' ? body.request_id : undefined,
      serverTime: typeof body.server_time === 'number' ? body.server_time : undefined,
      retryable: body.retryable === true,
      retryAfter: retryAfter(response),
    };
    if (ours(body.type)) profile.add(problem);
    return problem;
  } catch {
    return undefined; // no JSON, or a body that was read already
  }
}

/** Problems whose type is the profile's. */
const profile = new WeakSet<Problem>();

function ours(type: unknown): boolean {
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
