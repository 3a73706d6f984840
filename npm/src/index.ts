/**
 * `fetch` with a signature, for tools that bmap-auth protects.
 *
 * Reading path of one request: `client.ts` → `request.ts` → `engine.ts` → `fetch.ts` → `tokens.ts` → `issuer.ts` → `sign.ts` → the `sdk-wasm` crate's `signer.rs`.
 *
 * @module
 */

export type {
  ApiKey,
  Client,
  ClientOptions,
  CommonOptions,
  DirectOptions,
  PageOptions,
  Problem,
  SignedEvent,
  Ticket,
  Tool,
  UserOptions,
  WasmSource,
} from './api.js';
export { createClient } from './client.js';
export { BmapError, type ClientCode, type ErrorCode, type ErrorDetail } from './errors.js';
export { init } from './init.js';
export { problemOf } from './problem.js';
