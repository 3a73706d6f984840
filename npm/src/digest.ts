/**
 * `Content-Digest` of a body, by whichever of WebAssembly and WebCrypto is faster at its size.
 *
 * A call of WebCrypto costs a trip to another thread and back, and then runs on the processor's own SHA-256; WebAssembly starts at
 * once and is slower per byte. `cargo xtask bench` measures where they cross.
 *
 * @module
 */

import { base64OfBytes } from './text.js';
import type { Glue } from './wasm/sdk-glue.js';

declare const process: { versions?: { node?: string } } | undefined;

/** From this many bytes on WebCrypto is faster: measured in Chromium, and in Node, where it goes through a thread pool. */
export const WEBCRYPTO_FROM: number = typeof process === 'object' && process.versions?.node ? 7168 : 2048;

/** `sha-256=:…:` for a body; `now` where nothing can be waited for, since the page may be going away. */
export async function contentDigest(glue: Pick<Glue, 'contentDigest'>, body: Uint8Array<ArrayBuffer>, now = false): Promise<string> {
  const subtle = globalThis.crypto?.subtle; // absent on pages that are neither https nor localhost
  if (now || body.byteLength < WEBCRYPTO_FROM || !subtle) return glue.contentDigest(body);
  return `sha-256=:${base64OfBytes(new Uint8Array(await subtle.digest('SHA-256', body)))}:`;
}
