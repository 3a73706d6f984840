/**
 * Why a call failed before a tool's answer could be had.
 *
 * Codes of the issuer (profile §6, for example `user_inactive` or `origin_denied`) come through unchanged. These are added here:
 *
 * | code | means | try again? |
 * |---|---|---|
 * | `network` | the issuer or the tool could not be reached, or CORS hid its answer | yes |
 * | `ticket_failed` | the `ticket` callback threw, or gave something that is no ticket | yes |
 * | `access_token_failed` | the `accessToken` callback threw, or gave something that is no access token | yes |
 * | `bad_answer` | the issuer answered with something that is no token | no |
 * | `wasm_unavailable` | WebAssembly could not be loaded or broke: often a Content-Security-Policy without `'wasm-unsafe-eval'` | yes |
 * | `bad_options` | `createClient` or `tool` was given something unusable | no |
 * | `bad_url` | not an `http(s)` URL, or a path that every verifier refuses (`//`, `%2f`, a broken escape, …) | no |
 * | `bad_request` | a header's value, or the method, can't be signed as it would be sent | no |
 * | `cross_tool_url` | the URL is on another origin than the tool: its token is not sent there | no |
 * | `body_unreadable` | the body could not be read to its end for the digest, or was read before | no |
 * | `redirect_refused` | the tool answered with a redirect: the signature holds for one address only | no |
 * | `no_randomness` | the platform has no `crypto.getRandomValues` | no |
 * | `closed` | the client was closed | no |
 *
 * A call that is aborted rejects with the signal's reason, as `fetch` does, and not with a `BmapError`.
 *
 * @module
 */

/** The codes that this package adds to those of the profile. */
export type ClientCode =
  | 'network'
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

/** What is known about a failure besides its code. */
export interface ErrorDetail {
  /** What lies beneath: the error that `fetch` or a callback threw. */
  cause?: unknown;
  /** The HTTP status of the issuer's answer, where there was one. */
  status?: number;
  /** The issuer's id of the request, to look it up in its log. */
  requestId?: string | undefined;
  /** Whether the same call may succeed later without anything being changed. */
  retryable?: boolean;
}

/** A failure with a stable `code`; the message is for people and may change. */
export class BmapError extends Error {
  /** What happened, stable over versions. */
  readonly code: ErrorCode;
  /** The HTTP status of the issuer's answer, where there was one. */
  readonly status: number | undefined;
  /** The issuer's id of the request, to look it up in its log. */
  readonly requestId: string | undefined;
  /** Whether the same call may succeed later without anything being changed. */
  readonly retryable: boolean;

  /** Made by this package; applications only read it. */
  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, 'cause' in detail ? { cause: detail.cause } : undefined);
    this.name = 'BmapError';
    this.code = code;
    this.status = detail.status;
    this.requestId = detail.requestId;
    this.retryable = detail.retryable ?? false;
  }
}
