/**
 * The bytes of a body.
 *
 * @module
 */

/** A body that was read. */
export interface Content {
  bytes: Uint8Array<ArrayBuffer>;
  /** The body that is handed to `fetch`: text stays text, for wrappers that take nothing else. */
  sent: string | Uint8Array<ArrayBuffer>;
  /** The `Content-Type` that it brings, where the caller gives none. */
  type: string | undefined;
}

/** One array of several. */
export function joined(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
