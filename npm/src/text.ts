/**
 * Bytes as text, and back.
 *
 * @module
 */

/** Bytes from hexadecimal in lower case: how the WebAssembly chunk holds them. */
export function bytesOfHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length / 2);
  const digit = (at: number): number => {
    const code = text.charCodeAt(at); // 0x30 to 0x39 for 0 to 9, 0x61 to 0x66 for a to f
    return (code & 15) + (code >> 6) * 9;
  };
  for (let at = 0; at < bytes.length; at++) bytes[at] = (digit(2 * at) << 4) | digit(2 * at + 1);
  return bytes;
}

/** Bytes from base64url without padding (RFC 4648 §5): how signing keys come. Throws where it is not that. */
export function bytesOfBase64url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

/** Base64 with padding (RFC 4648 §4): how digests go. For short values only, since each byte becomes an argument. */
export function base64OfBytes(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
