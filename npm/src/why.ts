/**
 * The cause of a failure, in words that say what to do. Loaded only when something failed.
 *
 * @module
 */

import { blocked } from './policy.js';
import { BmapError, type ErrorDetail } from './errors.js';

/** Why `fetch` rejected. */
export async function unreachable(url: URL, init: RequestInit, cause: unknown, what: string): Promise<BmapError> {
  const { body, ...rest } = init;
  try {
    // `fetch` gives the same TypeError for arguments that it refuses and for a network that is away. `Request` refuses the first only.
    if (typeof Request === 'function') new Request(url, { ...rest, signal: null });
  } catch (error) {
    return new BmapError('bad_request', `fetch refuses these arguments: ${(error as Error).message}`, { cause: error });
  }
  await new Promise((resolve) => setTimeout(resolve)); // the report of a violation is a task of its own
  if (blocked(url)) {
    return new BmapError('csp_blocked', `the page's Content-Security-Policy forbids it: add ${url.origin} to connect-src`, { cause });
  }
  if (init.integrity) {
    return new BmapError('integrity_failed', `${url.href} answered with something else than integrity names, or could not be reached`, { cause });
  }
  const executed = /^(GET|HEAD)$/.test(init.method ?? 'GET') || what !== 'tool' ? '' : '. It may have been executed all the same';
  return new BmapError('network', `the ${what} ${url.origin} could not be reached, or CORS hid its answer${executed}`, { cause, retryable: true });
}

/** Which rule of the profile (§4) a URL breaks that can't be signed. */
export function badUrl(url: URL, cause: unknown): BmapError {
  const { pathname: path, search } = url;
  const longest = Math.max(path.length, search.length - 1);
  const rule = longest > 8192 ? `its ${path.length > 8192 ? 'path' : 'query'} has ${longest} bytes, and 8192 is the most; send what is long in the body`
    : /%(?![0-9a-f]{2})/i.test(path) ? 'its path has a broken escape: a % that two hexadecimal digits do not follow; encodeURIComponent writes %25'
    : /%(2e|2f|5c|00)/i.test(path) ? 'its path has an encoded dot, slash, backslash or NUL'
    : path.includes('//') ? 'its path has an empty segment (//)'
    : 'it is not http(s), or has a byte that can not stand in a request target';
  return new BmapError('bad_url', `${url.origin}${path.slice(0, 200)} can't be signed, since every verifier refuses it: ${rule}`, { cause });
}

/** The issuer's refusal of a token, with what to do about it. */
export async function refused(problem: { code: string; title: string } & ErrorDetail, endpoint: URL, signed: boolean, fetcher: typeof fetch): Promise<BmapError> {
  const { code, title } = problem;
  if (code === 'origin_denied') {
    const origin = (globalThis as { location?: { origin?: string } }).location?.origin;
    const what = origin === undefined ? 'this caller is no page, and sent no Origin or one that the API key, the tool or the ticket does not name'
      : origin === 'null' ? 'this frame is sandboxed or a file and has no origin; tokens for pages go to registered origins only'
      : `register this page's origin ${origin} with the API key (bmap key add … --origin ${origin}) and with the tool, if that names origins`;
    return new BmapError(code, `${title}: ${what}`, problem);
  }
  if (signed && (code === 'invalid_signature' || code === 'invalid_credentials')) {
    const given = endpoint.href.replace(/\/oauth\/token$/, '');
    const name = await ownName(new URL(given), fetcher);
    if (name !== undefined && name !== given) {
      return new BmapError('bad_options', `issuer: its own name is ${name}, and createClient was given ${given}; signatures hold for its own name only`, { ...problem, retryable: false });
    }
  }
  return new BmapError(code, title, problem);
}

/** The name that the issuer at an address gives itself, or `undefined`. Its document lies between host and path (RFC 8414 §3.1). */
async function ownName({ origin, pathname }: URL, fetcher: typeof fetch): Promise<string | undefined> {
  try {
    const answer = await fetcher(`${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`, { redirect: 'manual' });
    const { issuer } = (await answer.json()) as { issuer?: unknown };
    return typeof issuer === 'string' ? new URL(issuer).href.replace(/\/$/, '') : undefined;
  } catch {
    return undefined;
  }
}

/** Why WebAssembly could not be compiled. */
export function noWasm(cause: unknown): BmapError {
  const text = (cause as Error).message;
  const reason =
    typeof WebAssembly !== 'object' ? 'this platform has no WebAssembly'
    : /policy|unsafe-eval|disallowed|not allowed/i.test(text) ? "the Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src"
    : `WebAssembly could not be compiled: ${text}`;
  return new BmapError('wasm_unavailable', reason, { cause });
}
