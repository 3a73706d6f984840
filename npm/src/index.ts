/**
 * `fetch` with a signature, for tools that bmap-auth protects.
 *
 * Reading path of one request: `fetch.ts` → `tokens.ts` → `issuer.ts` → `sign.ts` → the `sdk-wasm` crate's `signer.rs`.
 *
 * @module
 */

export { type Client, type ClientOptions, createClient, type DirectOptions, type PageOptions, type Ticket, type Tool, type UserOptions } from './client.js';
export type { ApiKey } from './direct.js';
export { BmapError, type ClientCode, type ErrorCode, type ErrorDetail } from './errors.js';
export type { SignedEvent } from './fetch.js';
export { type Problem, problemOf } from './problem.js';
export { init, type WasmSource } from './wasm.js';
