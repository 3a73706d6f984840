/**
 * Loading WebAssembly before it is needed.
 *
 * @module
 */

import type { WasmSource } from './api.js';

/**
 * Loads WebAssembly before it is needed, or from elsewhere than the copy that the package carries.
 *
 * Not needed: the first request does it. `wasm` takes the file that `@bmap/auth/wasm` names, as a URL, its bytes, a compiled
 * `WebAssembly.Module` or a `Response`; for those who stream, hash or cache it.
 *
 * @throws {BmapError} `wasm_unavailable`; may be called again.
 */
export async function init(options: { wasm?: WasmSource } = {}): Promise<void> {
  const { sdk } = await import('./wasm.js');
  await sdk.load(options.wasm);
}
