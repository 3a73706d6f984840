/**
 * One signed request, from its bytes to the tool's answer. Start reading here.
 *
 * token → sign → send → repair: once, if the answer says that the clock or the token was too old; by waiting, within bounds,
 * if it says that the replay store can't tell yet.
 *
 * @module
 */

import { unlessAborted } from './abort.js';
import { redirected, refusalCode, retryAfter, shortWait } from './answer.js';
import type { SignedEvent } from './api.js';
import type { ServerClock } from './clock.js';
import { contentDigest } from './digest.js';
import { BmapError } from './errors.js';
import { explained } from './explain.js';
import type { Issuer, Token } from './issuer.js';
import { watchPolicy } from './policy.js';
import { problemOf } from './problem.js';
import type { Prepared } from './request.js';
import { alsoCovered, resolve } from './target.js';
import type { Tokens } from './tokens.js';
import { Allowance, pause } from './wait.js';

/** State that the requests of one client share. */
export interface Shared {
  issuer: Issuer;
  clock: ServerClock;
  fetch: typeof fetch;
  onSigned: ((event: SignedEvent) => void) | undefined;
}

/** Repairs that one call may still try after a refusal. */
interface Repairs {
  /** Whether the one repair of clock, token or WebAssembly is spent. */
  spent: boolean;
  /** Whether a `replayed` was answered by signing again. */
  resigned: boolean;
  readonly waits: Allowance;
}

/** Codes after which a token is not used again. */
const TOKEN_OVER = new Set(['token_expired', 'invalid_token', 'token_revoked']);

/** Sends a request, signed for one tool. */
export async function signedFetch(tool: string, tokens: Tokens, shared: Shared, request: Prepared): Promise<Response> {
  const { signal, body } = request;
  let digest: Promise<string> | undefined;
  const repairs: Repairs = { spent: false, resigned: false, waits: new Allowance() };
  for (;;) {
    signal?.throwIfAborted();
    let token = tokens.current() ?? (await unlessAborted(tokens.get(), signal));
    if (body?.bytes.length) {
      const glue = await shared.issuer.loader.load();
      await (digest ??= contentDigest(glue, body.bytes, request.keepalive));
      token = tokens.current() ?? token; // it may have been replaced meanwhile
    }
    const url = resolve(request.address, token);
    let signature: Record<string, string>;
    try {
      signature = sign(tool, token, url, request, digest && (await digest), shared);
    } catch (error) {
      if (!(error instanceof BmapError)) throw error;
      if (error.code === 'bad_url') throw await explained((why) => why.badUrl(url, error), error);
      if (repairs.spent || error.code !== 'wasm_unavailable') throw error;
      repairs.spent = true;
      tokens.forget(token);
      continue;
    }
    const response = await send(url, request, signature, shared);
    if (!(await repair(request, response, token, tokens, shared, repairs))) return response;
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
  const type = digest === undefined ? undefined : headers['content-type'];
  const started = onSigned ? clock.ticks() : 0;
  const more = alsoCovered(headers, digest !== undefined);
  const signature = token.signer.sign(method, url, clock.now(), type, digest, more);
  if (onSigned) {
    const microseconds = Math.round((clock.ticks() - started) * 1000);
    const signatureInput = signature['signature-input'] ?? '';
    const covered = Array.from(signatureInput.slice(0, signatureInput.indexOf(')')).matchAll(/"([^"]+)"/g), ([, name]) => name as string);
    onSigned({ tool, method, url: url.href, covered, signatureInput, headers: { ...headers, ...signature }, microseconds });
  }
  return signature;
}

async function send(url: URL, request: Prepared, signature: Record<string, string>, shared: Shared): Promise<Response> {
  const { method, body, signal } = request;
  // An address as text and headers as a plain object: what every wrapper of `fetch` takes. A followed redirect would carry this
  // signature to an address that it does not hold for.
  const init: RequestInit = { ...request.init, method, headers: { ...request.headers, ...signature }, redirect: 'manual' };
  if (body) init.body = body.sent;
  if (signal) init.signal = signal;
  watchPolicy();
  let response: Response;
  try {
    response = await shared.fetch(url.href, init);
  } catch (cause) {
    signal?.throwIfAborted();
    const plain = new BmapError('network', `${url.origin} could not be reached, or CORS hid its answer`, { cause, retryable: true });
    throw await explained((why) => why.unreachable(url, init, cause, 'tool'), plain);
  }
  if (response.redirected || (redirected(response) && request.redirect !== 'manual')) {
    throw new BmapError('redirect_refused', `${url.href} answered with a redirect; call the address that it leads to instead`);
  }
  return response;
}

/**
 * Whether to sign and send again. A request that a verifier refused was not executed, so that a POST is repeated as safely as a
 * GET; and every body was read to its end before it was sent, so that it can be sent again.
 *
 * `replayed` is the exception: a browser sends by itself again a request whose connection was reset before an answer, and the first
 * copy may have been let in. So only a request that is safe to execute twice is signed again; for others it is an error that says
 * so.
 *
 * A `body_timeout` is not repeated: the body would take as long once more. Nor is any other 503.
 */
async function repair(
  request: Prepared,
  response: Response,
  token: Token,
  tokens: Tokens,
  shared: Shared,
  repairs: Repairs,
): Promise<boolean> {
  const { status } = response;
  if (status !== 401 && status !== 403 && status !== 503) return false;
  const problem = await problemOf(response);
  const head = request.method === 'HEAD'; // its answers have no body to say a code or the time
  let wait: number | undefined;
  if (status === 503) {
    if (problem ? problem.code !== 'replay_store_unavailable' : !head) return false;
    if (problem?.serverTime !== undefined) shared.clock.learn(problem.serverTime);
    wait = repairs.waits.take(retryAfter(response));
  } else {
    const code = refusalCode(response, problem);
    if (code === undefined) return false;
    if (problem?.serverTime !== undefined) shared.clock.learn(problem.serverTime);
    if (TOKEN_OVER.has(code) || (head && code === 'clock_skew')) tokens.forget(token); // a token's answer says the time
    if (code === 'replayed') {
      if (!head && request.method !== 'GET') {
        const text = 'the request arrived twice, as a browser repeats one whose connection was reset. It may have been executed: look before sending it again';
        throw new BmapError(code, text, { ...problem, status, retryable: false });
      }
      wait = repairs.resigned ? undefined : 0;
      repairs.resigned = true;
    } else {
      if (repairs.spent || (code !== 'clock_skew' && code !== 'token_expired')) return false;
      wait = shortWait(response);
      repairs.spent = wait !== undefined;
    }
  }
  if (wait === undefined) return false;
  response.body?.cancel().catch(() => {});
  await pause(wait, request.signal);
  return true;
}
