/**
 * Loading WebAssembly: once, when first needed, asynchronously, and again after a failure.
 *
 * The bytes are text in a chunk of their own, reached by `import()`: that works in every bundler, under a tight `connect-src`, and
 * in Node, where `fetch(new URL('x.wasm', import.meta.url))` does not.
 *
 * @module
 */

import type { WasmSource } from './api.js';
import { BmapError } from './errors.js';
import { explained } from './explain.js';
import { bytesOfHex } from './text.js';
import type { Glue } from './wasm/sdk-glue.js';

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
      if ((error as Error | undefined)?.name !== 'RuntimeError') throw error; // by name: it may be of another realm
      this.#instance = undefined;
      throw new BmapError('wasm_unavailable', 'the WebAssembly module broke and is made anew', { cause: error, retryable: true });
    }
  }

  async #start(source: WasmSource | undefined): Promise<G> {
    try {
      this.#module ??= this.#compile(source);
      const [module, { glue }] = await Promise.all([this.#module, this.#glue().catch(notLoaded)]);
      const fresh = glue();
      fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
      return fresh;
    } catch (cause) {
      if (cause instanceof BmapError) throw cause;
      throw await explained((why) => why.noWasm(cause), new BmapError('wasm_unavailable', 'WebAssembly could not be compiled', { cause }));
    }
  }

  async #compile(source: WasmSource | undefined): Promise<WebAssembly.Module> {
    const read = await this.#read(source).catch(notLoaded);
    // By its class: the module that an edge platform compiled is of another realm.
    return classOf(read) === 'WebAssembly.Module' ? (read as WebAssembly.Module) : WebAssembly.compile(read as BufferSource);
  }

  async #read(source: WasmSource | undefined): Promise<WebAssembly.Module | BufferSource> {
    if (source === undefined) {
      const own = (await this.#bytes()).default;
      return typeof own === 'string' ? bytesOfHex(own) : own;
    }
    let given: unknown = await source;
    if (typeof given === 'string' || classOf(given) === 'URL') given = await fetch(String(given));
    const response = given as Response;
    if (typeof response.arrayBuffer !== 'function') return given as WebAssembly.Module | BufferSource;
    if (!response.ok) throw new Error(`${response.url || 'it'} answered ${response.status}`);
    // compileStreaming wants the media type application/wasm, which not every server sends.
    return response.arrayBuffer();
  }
}

function notLoaded(cause: unknown): never {
  throw new BmapError('wasm_unavailable', `WebAssembly could not be loaded: ${(cause as Error).message}`, { cause, retryable: true });
}

function classOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** What every page loads. */
export const sdk: Loader<Glue> = new Loader(
  () => import('./wasm/sdk-bytes.js'),
  () => import('./wasm/sdk-glue.js'),
);
