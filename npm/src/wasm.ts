/**
 * Loading WebAssembly: once, when first needed, asynchronously, and again after a failure.
 *
 * The bytes are text in a chunk of their own, reached by `import()`: that works in every bundler, under a tight `connect-src`, and
 * in Node, where `fetch(new URL('x.wasm', import.meta.url))` does not.
 *
 * @module
 */

import { bytesOfHex } from './text.js';
import { BmapError } from './errors.js';
import type { Glue } from './wasm/sdk-glue.js';

/** Where the WebAssembly of `@bmap/auth/wasm` may come from instead of the inlined copy. */
export type WasmSource = URL | string | BufferSource | WebAssembly.Module | Response | Promise<Response>;

/** Runs what calls into WebAssembly, and knows when that broke. */
export interface Guard {
  guard<T>(call: () => T): T;
}

/** A compiled module, and the one instance of it that is in use. */
export class Loader<G extends Pick<Glue, 'imports' | 'finish'>> implements Guard {
  #module: Promise<WebAssembly.Module> | undefined;
  #instance: Promise<G> | undefined;
  readonly #bytes: () => Promise<{ default: string | WebAssembly.Module }>;
  readonly #glue: () => Promise<{ glue: () => G }>;

  constructor(bytes: () => Promise<{ default: string | WebAssembly.Module }>, glue: () => Promise<{ glue: () => G }>) {
    this.#bytes = bytes;
    this.#glue = glue;
  }

  /** The instance; the same one for all until it breaks. A load that failed is not remembered. */
  load(source?: WasmSource): Promise<G> {
    if (source !== undefined) this.#module = this.#instance = undefined;
    if (this.#instance) return this.#instance;
    const started = this.#start(source);
    this.#instance = started;
    started.catch(() => {
      if (this.#instance === started) this.#instance = this.#module = undefined;
    });
    return started;
  }

  /** Runs what calls into the instance. After a trap its memory can't be trusted: the next load makes a new instance. */
  guard<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      this.#instance = undefined;
      throw new BmapError('wasm_unavailable', 'the WebAssembly module broke and is made anew', { cause: error, retryable: true });
    }
  }

  async #start(source: WasmSource | undefined): Promise<G> {
    try {
      this.#module ??= this.#compile(source);
      const [module, { glue }] = await Promise.all([this.#module, this.#glue()]);
      const fresh = glue();
      fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
      return fresh;
    } catch (error) {
      const hint = "WebAssembly could not be loaded; a Content-Security-Policy needs 'wasm-unsafe-eval' in script-src";
      throw new BmapError('wasm_unavailable', hint, { cause: error, retryable: true });
    }
  }

  async #compile(source: WasmSource | undefined): Promise<WebAssembly.Module> {
    let given = source ?? (await this.#bytes()).default;
    if (given instanceof WebAssembly.Module) return given;
    if (source === undefined) return WebAssembly.compile(bytesOfHex(given as string));
    if (typeof given === 'string' || given instanceof URL) given = fetch(given);
    const settled = await given;
    if (!(settled instanceof Response)) return WebAssembly.compile(settled as BufferSource);
    if (!settled.ok) throw new Error(`${settled.url} answered ${settled.status}`);
    // compileStreaming wants the media type application/wasm, which not every server sends.
    return WebAssembly.compile(await settled.arrayBuffer());
  }
}

/** What every page loads. */
export const sdk: Loader<Glue> = new Loader(
  () => import('./wasm/sdk-bytes.js'),
  () => import('./wasm/sdk-glue.js'),
);

/**
 * Loads WebAssembly before it is needed, or from elsewhere than the copy that the package carries.
 *
 * Not needed: the first request does it. `wasm` takes the file that `@bmap/auth/wasm` names, as a URL, its bytes, a compiled
 * `WebAssembly.Module` or a `Response`; for those who stream, hash or cache it.
 *
 * @throws {BmapError} `wasm_unavailable`; may be called again.
 */
export async function init(options: { wasm?: WasmSource } = {}): Promise<void> {
  await sdk.load(options.wasm);
}
