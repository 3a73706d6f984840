/**
 * A signed request taken apart: for debug panels and tests. It loads a WebAssembly module of its own, with the parsers that the
 * default path does without, so import it only where it is shown.
 *
 * @module
 */

import { BmapError } from './errors.js';
import { Loader } from './wasm.js';
import type { Glue, Inspection } from './wasm/inspect-glue.js';

export type { Inspection } from './wasm/inspect-glue.js';

const loader: Loader<Glue> = new Loader(
  () => import('./wasm/inspect-bytes.js'),
  () => import('./wasm/inspect-glue.js'),
);

/** A request as it was sent; what `onSigned` is called with is one. */
export interface SentRequest {
  method: string;
  url: string | URL;
  /** By lower-case name. */
  headers: Record<string, string>;
}

/**
 * Reads a signed request as a verifier does, and rebuilds the text that was signed. Checks no signature.
 *
 * @throws {BmapError} with the code that a verifier would refuse with, where the request is not of the profile's form.
 */
export async function inspect(request: SentRequest): Promise<Inspection> {
  const glue = await loader.load();
  try {
    const { method, headers } = request;
    return loader.guard(() => glue.inspect({ method, headers }, new URL(request.url)));
  } catch (error) {
    if (error instanceof BmapError || !(error instanceof Error)) throw error;
    throw new BmapError(error.message, 'not a signed request of the profile', { cause: error });
  }
}
