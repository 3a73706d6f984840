/**
 * One signed request, from `fetch`'s arguments to the tool's answer. Start reading here.
 *
 * prepare → token → sign → send → repair: once, if the answer says that the clock or the token was too old; by waiting, within bounds,
 * if it says that the replay store can't tell yet.
 *
 * @module
 */

import type { ServerClock } from './clock.js';
import { contentDigest } from './digest.js';
import { BmapError } from './errors.js';
import type { Issuer, Token } from './issuer.js';
import { problemOf, refusalCode, retryAfter, shortWait } from './problem.js';
import { alsoCovered, type Prepared, prepare, resolve } from './request.js';
import type { Tokens } from './tokens.js';
import { Allowance, pause, unlessAborted } from './wait.js';

/** What was signed, for a debug panel. It holds the token: show it, do not send it anywhere. */
export interface SignedEvent {
  tool: string;
  method: string;
  url: string;
  /** The covered components, in the order in which they were signed. */
  covered: string[];
  /** `Signature-Input` as sent. */
  signatureInput: string;
  /** All headers as sent, by lower-case name. */
  headers: Record<string, string>;
  /** Time spent on signing, as exactly as the platform's clock tells: in steps of 0.1 ms on a page without cross-origin isolation. */
  microseconds: number;
}

/** What the requests of one client share. */
export interface Shared {
  issuer: Issuer;
  clock: ServerClock;
  fetch: typeof fetch;
  onSigned: ((event: SignedEvent) => void) | undefined;
}

/** What one call may still do about refusals. */
interface Repairs {
  /** Whether the one repair of clock, token or WebAssembly is spent. */
  spent: boolean;
  readonly waits: Allowance;
}

/** Codes after which a token is not used again. */
const TOKEN_OVER = new Set(['token_expired', 'invalid_token', 'token_revoked']);

/** `fetch`, signed for one tool. */
export async function signedFetch(
  tool: string,
  tokens: Tokens,
  shared: Shared,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
): Promise<Response> {
  const request = await prepare(input, init);
  const signal = request.signal;
  let digest: Promise<string> | undefined;
  const repairs: Repairs = { spent: false, waits: new Allowance() };
  for (;;) {
    signal?.throwIfAborted();
    let token = tokens.current() ?? (await unlessAborted(tokens.get(), signal));
    if (request.body?.length) {
      const glue = await shared.issuer.loader.load();
      await (digest ??= contentDigest(glue, request.body));
      token = tokens.current() ?? token; // it may have been replaced meanwhile
    }
    const url = resolve(request.address, token);
    let signature: Record<string, string>;
    try {
      signature = sign(tool, token, url, request, digest && (await digest), shared);
    } catch (error) {
      if (repairs.spent || !(error instanceof BmapError) || error.code !== 'wasm_unavailable') throw error;
      repairs.spent = true;
      tokens.forget(token);
      continue;
    }
    const response = await send(url, request, signature, input, init, shared);
    if (!(await repair(response, token, tokens, shared, repairs, signal))) return response;
  }
}

function sign(
  tool: string,
  token: Token,
  url: URL,
  request: Prepared,
  digest: string | undefined,
  { clock, onSigned }: Shared,
): Record<string, string> {
  const { method, headers } = request;
  const type = digest === undefined ? undefined : (headers?.get('content-type') ?? undefined);
  const started = onSigned ? clock.ticks() : 0;
  const more = alsoCovered(headers, digest !== undefined);
  const signature = token.signer.sign(method, url, clock.now(), type, digest, more);
  if (onSigned) {
    const microseconds = Math.round((clock.ticks() - started) * 1000);
    const signatureInput = signature['signature-input'] ?? '';
    const covered = Array.from(signatureInput.slice(0, signatureInput.indexOf(')')).matchAll(/"([^"]+)"/g), ([, name]) => name as string);
    const all = { ...(headers && Object.fromEntries(headers)), ...signature };
    onSigned({ tool, method, url: url.href, covered, signatureInput, headers: all, microseconds });
  }
  return signature;
}

async function send(
  url: URL,
  request: Prepared,
  signature: Record<string, string>,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  shared: Shared,
): Promise<Response> {
  let headers: HeadersInit = signature;
  if (request.headers) {
    headers = new Headers(request.headers);
    for (const name in signature) headers.set(name, signature[name] as string);
  }
  // A followed redirect would carry this signature to an address that it does not hold for.
  const over: RequestInit = { method: request.method, headers, redirect: 'manual' };
  if (request.body) over.body = request.body;
  let response: Response;
  try {
    const target = input instanceof Request ? input : url;
    response = await shared.fetch(target, init ? { ...init, ...over } : over);
  } catch (error) {
    request.signal?.throwIfAborted();
    throw new BmapError('network', `${url.origin} could not be reached, or CORS hid its answer`, { cause: error, retryable: true });
  }
  const redirected = response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400 && response.headers.has('location'));
  if (redirected && request.redirect !== 'manual') {
    throw new BmapError('redirect_refused', `${url.href} answered with a redirect; call the address that it leads to instead`);
  }
  return response;
}

/**
 * Whether to sign and send again. What a guard refused was not executed, so that a POST is repeated as safely as a GET; and every
 * body was read to its end before it was sent, so that it can be sent again.
 *
 * A `body_timeout` is not repeated: the body would take as long once more. Nor is any other 503.
 */
async function repair(
  response: Response,
  token: Token,
  tokens: Tokens,
  shared: Shared,
  repairs: Repairs,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let wait: number | undefined;
  if (response.status === 503) {
    const problem = await problemOf(response);
    if (problem?.code !== 'replay_store_unavailable') return false;
    if (problem.serverTime !== undefined) shared.clock.learn(problem.serverTime);
    wait = repairs.waits.take(retryAfter(response));
  } else if (response.status === 401 || response.status === 403) {
    const code = refusalCode(response);
    if (code === undefined) return false;
    const problem = await problemOf(response);
    if (problem?.serverTime !== undefined) shared.clock.learn(problem.serverTime);
    if (TOKEN_OVER.has(code)) tokens.forget(token);
    if (repairs.spent || (code !== 'clock_skew' && code !== 'token_expired')) return false;
    wait = shortWait(response);
    repairs.spent = wait !== undefined;
  }
  if (wait === undefined) return false;
  response.body?.cancel().catch(() => {});
  await pause(wait, signal);
  return true;
}
