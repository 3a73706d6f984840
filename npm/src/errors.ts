/**
 * Why a call failed before a tool's answer could be had.
 *
 * Codes of the issuer (profile §6, for example `user_inactive` or `origin_denied`) come through unchanged. These are added here:
 *
 * | code | means | try again? |
 * |---|---|---|
 * | `network` | the issuer or the tool could not be reached, or CORS hid its answer | yes |
 * | `csp_blocked` | the page's Content-Security-Policy names that origin in no `connect-src` | no |
 * | `integrity_failed` | a request with `integrity` failed: the answer is another one, or there was none | no |
 * | `ticket_failed` | the `ticket` callback threw, or gave something that is no ticket | yes |
 * | `access_token_failed` | the `accessToken` callback threw, or gave something that is no access token | yes |
 * | `bad_answer` | the issuer answered with something that is no token | no |
 * | `wasm_unavailable` | WebAssembly could not be loaded or broke; the message says whether the Content-Security-Policy forbids it | where it broke or was not reached |
 * | `bad_options` | `createClient` or `tool` was given something unusable | no |
 * | `bad_url` | not an `http(s)` URL, or a path that every verifier refuses (`//`, `%2f`, a broken escape, …) | no |
 * | `bad_request` | `fetch` would refuse these arguments, or would send another request than the one that is signed | no |
 * | `cross_tool_url` | the URL is on another origin than the tool: its token is not sent there | no |
 * | `body_unreadable` | the body could not be read to its end for the digest, or was read before | no |
 * | `redirect_refused` | the tool answered with a redirect: the signature holds for one address only | no |
 * | `no_randomness` | the platform has no `crypto.getRandomValues` | no |
 * | `replayed` | a request that is no GET or HEAD arrived twice: it may have been executed, look before sending it again | no |
 * | `closed` | the client was closed | no |
 *
 * A call that is aborted rejects with the signal's reason, as `fetch` does, and not with a `BmapError`.
 *
 * @module
 */

/** The codes that this package adds to those of the profile. */
export type ClientCode =
  | 'network'
  | 'csp_blocked'
  | 'integrity_failed'
  | 'ticket_failed'
  | 'access_token_failed'
  | 'bad_answer'
  | 'wasm_unavailable'
  | 'bad_options'
  | 'bad_url'
  | 'bad_request'
  | 'cross_tool_url'
  | 'body_unreadable'
  | 'redirect_refused'
  | 'no_randomness'
  | 'closed';

/** A code of this package, or one of the issuer's. */
export type ErrorCode = ClientCode | (string & {});

/** Details of a failure besides its code. */
export interface ErrorDetail {
  /** The cause: the error that `fetch` or a callback threw. */
  cause?: unknown;
  /** The HTTP status of the issuer's answer, where there was one. */
  status?: number;
  /** The issuer's id of the request, to look it up in its log. */
  requestId?: string | undefined;
  /** What of the request was wrong, where the issuer said so. */
  field?: string | undefined;
  /** What would be right, for people, where the issuer said so. */
  hint?: string | undefined;
  /** Whether the same call may succeed later without anything being changed. */
  retryable?: boolean;
  /** Seconds after which it may, where that is known. */
  retryAfter?: number | undefined;
}

/** A failure with a stable `code`; the message is for people and may change. */
export class BmapError extends Error {
  /** The kind of failure, stable over versions. */
  readonly code: ErrorCode;
  /** The HTTP status of the issuer's answer, where there was one. */
  readonly status: number | undefined;
  /** The issuer's id of the request, to look it up in its log. */
  readonly requestId: string | undefined;
  /** What of the request was wrong, where the issuer said so: for example `scope`. */
  readonly field: string | undefined;
  /** What would be right, for people, where the issuer said so. */
  readonly hint: string | undefined;
  /** Whether the same call may succeed later without anything being changed. */
  readonly retryable: boolean;
  /** Seconds after which trying again makes sense, where the issuer said so or where this package waits by itself. */
  readonly retryAfter: number | undefined;

  /** Made by this package; applications only read it. */
  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, 'cause' in detail ? { cause: detail.cause } : undefined);
    this.name = 'BmapError';
    this.code = code;
    this.status = detail.status;
    this.requestId = detail.requestId;
    this.field = detail.field;
    this.hint = detail.hint;
    this.retryable = detail.retryable ?? false;
    this.retryAfter = detail.retryAfter;
  }
}
