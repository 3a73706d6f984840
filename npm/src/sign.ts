/**
 * A signature for one request that is about to be sent: into WebAssembly, and out again as headers.
 *
 * @module
 */

import { BmapError, type ErrorCode } from './errors.js';
import type { Signer } from './wasm/sdk-glue.js';
import type { Guard } from './wasm.js';

/** A signer: a key inside WebAssembly, and the loader that knows when that WebAssembly broke. */
export class RequestSigner {
  #signer: Signer | undefined;
  readonly #loader: Guard;
  /** `Authorization`'s value; `undefined` for an API key, which has no token. */
  readonly authorization: string | undefined;

  constructor(signer: Signer, loader: Guard, token?: string) {
    this.#signer = signer;
    this.#loader = loader;
    this.authorization = token === undefined ? undefined : `HTTPSig ${token}`;
  }

  /**
   * The headers that sign a request, by lower-case name: `signature-input`, `signature`, and `authorization` and `content-digest` where
   * there are such.
   *
   * @param created the server's time in milliseconds
   * @param type `Content-Type`, where there are a body and that header
   * @param digest `Content-Digest` of the body, where there is one
   * @param more further headers to cover, in lines of `name:value`
   */
  sign(method: string, url: URL, created: number, type?: string, digest?: string, more?: string): Record<string, string> {
    const signer = this.#signer;
    if (!signer) throw new BmapError('closed', 'the client was closed');
    let both: string;
    try {
      both = this.#loader.guard(() => signer.sign(method, url, Math.floor(created / 1000), type, digest, more));
    } catch (error) {
      if (error instanceof BmapError) {
        // The trap took the key with it. Its memory is not touched any more, not even to free it.
        this.#signer = undefined;
        (signer as unknown as { __destroy_into_raw(): void }).__destroy_into_raw();
      }
      throw explain(error, url);
    }
    const cut = both.indexOf('\n');
    const headers: Record<string, string> = { 'signature-input': both.slice(0, cut), signature: both.slice(cut + 1) };
    if (this.authorization !== undefined) headers.authorization = this.authorization;
    if (digest !== undefined) headers['content-digest'] = digest;
    return headers;
  }

  /** Wipes the key. */
  free(): void {
    this.#signer?.free();
    this.#signer = undefined;
  }
}

/** The error for a code that came out of WebAssembly. */
export function explain(error: unknown, url?: URL): unknown {
  const code = error instanceof Error && !(error instanceof BmapError) ? error.message : '';
  const text: Record<string, string> = {
    bad_url: `${url?.pathname} can't be signed: every verifier refuses a path with a broken escape, //, or an encoded dot, slash, backslash or NUL`,
    bad_request: 'the method or a header holds a character that can\'t be sent as it is',
    bad_key: 'not a signing key',
    no_randomness: 'crypto.getRandomValues is missing',
  };
  const sentence = text[code];
  return sentence === undefined ? error : new BmapError(code as ErrorCode, sentence);
}
