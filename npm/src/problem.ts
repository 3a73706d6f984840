/**
 * Refusals as the issuer and every verifier send them: `application/problem+json` (RFC 9457) with a stable code, and the same code
 * in `WWW-Authenticate`.
 *
 * @module
 */

import { ours, profile, retryAfter } from './answer.js';
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
      field: typeof body.field === 'string' ? body.field : undefined,
      hint: typeof body.hint === 'string' ? body.hint : undefined,
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
