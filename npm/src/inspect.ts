/**
 * A signed request taken apart: for debug panels and tests. It loads a WebAssembly module of its own, with the parsers that the
 * default path does without, so import it only where it is shown.
 *
 * @module
 */

import { BmapError } from './errors.js';
import { Loader } from './wasm.js';
import type { Address } from './api.js';
import type { Glue } from './wasm/inspect-glue.js';

/** A signed request taken apart. */
export interface Inspection {
  /** The covered components with their values, in the order in which they were signed. */
  components: { name: string; value: string }[];
  /** Seconds since 1970, in the server's time. */
  created: number;
  /** Seconds since 1970, where the signature has an end of its own. */
  expires: number | null;
  /** The 16 bytes that make the request the only one of its kind. */
  nonce: number[];
  /** The token's `jti`, or the API key's id. */
  keyId: string;
  /** The bytes of the signature. */
  signature: number[];
  /** The text that was signed (RFC 9421 §2.5). */
  base: string;
  /** The token's payload as it reads. Nothing of it was checked. */
  unverifiedClaims: Record<string, unknown> | null;
}

const loader: Loader<Glue> = new Loader(
  () => import('./wasm/inspect-bytes.js'),
  () => import('./wasm/inspect-glue.js'),
);

/** A request as it was sent; what `onSigned` is called with is one. */
export interface SentRequest {
  method: string;
  url: string | Address;
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
    return loader.guard(() => glue.inspect({ method, headers }, new URL(request.url as string | URL)));
  } catch (error) {
    if (error instanceof BmapError || !(error instanceof Error)) throw error;
    throw new BmapError(error.message, 'not a signed request of the profile', { cause: error });
  }
}
