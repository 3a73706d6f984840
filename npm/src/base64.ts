/**
 * Base64 (RFC 4648), for the WebAssembly chunk, signing keys and digests.
 *
 * @module
 */

type WithBase64 = { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };

/** Bytes from base64 or base64url, padded or not. Throws where it is neither. */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  const plain = text.replaceAll('-', '+').replaceAll('_', '/');
  const native = (Uint8Array as unknown as WithBase64).fromBase64;
  if (native) return native.call(Uint8Array, plain);
  return Uint8Array.from(atob(plain), (character) => character.charCodeAt(0));
}

/** Base64 with padding. For short values only: each byte becomes an argument. */
export function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
