/**
 * The types of the package's surface, and no others: what a program that uses the package has to compile.
 *
 * They compile without DOM types too. What the platform declares is taken from there, whichever that is (DOM, web worker, Node,
 * Workers, Bun); where it declares nothing, a shape stands in.
 *
 * @module
 */
/// <reference lib="esnext.disposable" preserve="true" />

/** The global `fetch` as the platform declares it. */
export type Fetch = typeof globalThis extends { fetch: infer F extends (...args: never[]) => unknown } ? F : (input: string | object, init?: object) => Promise<object>;

/** `Response` as the platform declares it. */
export type Answer = typeof globalThis extends { Response: { prototype: infer R } } ? R : object;

/** `URL` as the platform declares it. */
export type Address = typeof globalThis extends { URL: { prototype: infer U } } ? U : { readonly href: string };

/** `WebAssembly.Module` as the platform declares it. */
export type CompiledModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;

/** A ticket, `bmt_…`, as the page's own backend got it from the issuer; or the issuer's whole answer. */
export type Ticket = string | { ticket: string };

/** An API key, as `bmap key add` prints it. Never in a page: a reader of the page has it then. */
export interface ApiKey {
  /** `bmk_…` */
  id: string;
  /** `bms_…` */
  secret: string;
  /**
   * How the issuer is shown that the secret is known. `signature` (default): the token request is signed and no secret travels.
   * `secret`: it is sent, in `Authorization: Basic`. Needed for keys that were made with `signing: "ed25519"`, since this package does
   * not sign with Ed25519: with `signature` the issuer refuses them (`invalid_signature`).
   */
  proof?: 'signature' | 'secret';
}

/** A signed request, for a debug panel. It holds the token: show it, do not send it anywhere. */
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

/** Options of every client. */
export interface CommonOptions {
  /** The issuer's address, for example `https://auth.example`. Plain `http` is taken for loopback addresses only. */
  issuer: string | Address;
  /** Instead of the global `fetch`. It is called with the address as a string and the headers as a plain object. */
  fetch?: Fetch;
  /** Called for every signed request, for a debug panel. What it throws, the request throws. */
  onSigned?: (event: SignedEvent) => void;
}

/** A page: its backend has the API key and hands out single-use tickets. */
export interface PageOptions extends CommonOptions {
  /**
   * Gets a new ticket for a tool from the page's own backend. Called when a session starts, not for each token. The ticket says the
   * scopes of the page's tokens.
   */
  ticket: (tool: string) => Ticket | Promise<Ticket>;
  apiKey?: never;
  accessToken?: never;
  clientId?: never;
  scope?: never;
}

/** A page on which a user is signed in: no backend of its own hands out tickets. */
export interface UserOptions extends CommonOptions {
  /** The public id, `bmk_…`, of the API key that registered the page and its tools. Never its secret. */
  clientId: string;
  /** Gets the access token of the signed-in user. Called when a session starts, not for each token. */
  accessToken: () => string | Promise<string>;
  ticket?: never;
  apiKey?: never;
  scope?: never;
}

/** A backend that calls tools with its own API key. */
export interface DirectOptions extends CommonOptions {
  apiKey: ApiKey;
  /** The tokens' scopes, with a space between them, the tool's required ones among them. Without it: the scopes that the tool requires. */
  scope?: string;
  ticket?: never;
  accessToken?: never;
  clientId?: never;
}

/** Options of `createClient`. */
export type ClientOptions = PageOptions | UserOptions | DirectOptions;

/** One protected tool. */
export interface Tool {
  /** The tool's id. */
  readonly id: string;
  /**
   * `fetch` with a signature: same arguments, same result. Relative addresses, with a leading slash or without, are the tool's.
   *
   * An answer that is not 2xx is returned and not thrown, also where the tool's guard refused; see `problemOf`. Redirects are not
   * followed. The body is read to its end before anything is sent, since its digest is signed.
   *
   * With `keepalive` the body is text, bytes or `URLSearchParams` of 64 KiB at most: nothing else can be read while a page goes away.
   *
   * @throws {BmapError} where no answer could be had; its `code` says why.
   */
  fetch(...args: Parameters<Fetch>): ReturnType<Fetch>;
}

/** The client that `createClient` makes. */
export interface Client {
  /** The tool with this id; the same object each time, with one token for all its calls. */
  tool(id: string): Tool;
  /** Wipes all keys. Calls after it, and token requests under way, fail with `closed`. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
}

/** Where the WebAssembly of `@bmap/auth/wasm` may come from instead of the inlined copy. */
export type WasmSource = string | Address | ArrayBuffer | ArrayBufferView | CompiledModule | Answer | Promise<Answer>;

/** The members of a refusal (profile §6). */
export interface Problem {
  /** Stable, for programs: for example `clock_skew`, `replayed`, `user_inactive`. */
  code: string;
  /** For people. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** To look the request up in the server's log. */
  requestId: string | undefined;
  /** What of the request was wrong, where the issuer says so. A tool's guard does not. */
  field: string | undefined;
  /** What would be right, for people, where the issuer says so. A tool's guard does not. */
  hint: string | undefined;
  /** The server's time in milliseconds since 1970. */
  serverTime: number | undefined;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** `Retry-After` in seconds; `undefined` where the answer names no number of seconds. */
  retryAfter: number | undefined;
}
