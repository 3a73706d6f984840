/**
 * Refusals as the issuer and every verifier send them: `application/problem+json` (RFC 9457) with a stable code, and the same code
 * in `WWW-Authenticate`.
 *
 * @module
 */

/** What a refusal says (profile §6). */
export interface Problem {
  /** Stable, for programs: for example `clock_skew`, `replayed`, `user_inactive`. */
  code: string;
  /** For people. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** To look the request up in the server's log. */
  requestId: string | undefined;
  /** The server's time in milliseconds since 1970. */
  serverTime: number | undefined;
  /** Whether the same request may succeed later. */
  retryable: boolean;
}

/**
 * The refusal in an answer of the tool's guard; `undefined` where the answer is the tool's own.
 *
 * Reads a copy: the response's body can still be read afterwards, but not before.
 */
export async function problemOf(response: Response): Promise<Problem | undefined> {
  if (response.ok || !response.headers.get('content-type')?.startsWith('application/problem+json')) return undefined;
  try {
    const body = (await response.clone().json()) as Record<string, unknown>;
    if (typeof body.code !== 'string') return undefined;
    return {
      code: body.code,
      title: typeof body.title === 'string' ? body.title : body.code,
      status: response.status,
      requestId: typeof body.request_id === 'string' ? body.request_id : undefined,
      serverTime: typeof body.server_time === 'number' ? body.server_time : undefined,
      retryable: body.retryable === true,
    };
  } catch {
    return undefined; // no JSON, or a body that was read already
  }
}

/** The code in `WWW-Authenticate: HTTPSig error="…"`, without reading the body. */
export function refusalCode(response: Response): string | undefined {
  return /^HTTPSig\b.*\berror="([a-z_]+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
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
