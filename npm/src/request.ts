/**
 * The arguments of `fetch`, read the way `fetch` reads them, up to the bytes that will be sent.
 *
 * @module
 */

import { BmapError } from './errors.js';
import type { Token } from './issuer.js';

/** A request of which everything is known but the signature. */
export interface Prepared {
  method: string;
  /** The caller's headers, and those that the body brings; `undefined` where there are none. */
  headers: Headers | undefined;
  /**
   * The whole body: its digest is signed, so it can't be a stream any more. `undefined` where there is none; empty where there is one
   * with nothing in it, which was read up by this and so is sent instead of what was given.
   */
  body: Uint8Array<ArrayBuffer> | undefined;
  signal: AbortSignal | undefined;
  /** What the caller asked to happen at a redirect. */
  redirect: RequestRedirect;
  /** The address as given: relative ones wait for the tool's base URL. */
  address: string;
}

/** Headers that are this package's to write. */
const RESERVED = ['authorization', 'signature', 'signature-input'];

/**
 * Headers by which some frameworks take another method or path than the request's own, in every spelling. A verifier refuses them
 * where they are not covered (profile §4).
 */
const OVERRIDES = /^x[-_.](http[-_.]method([-_.]override)?|method[-_.]override|(original|rewrite)[-_.]url)$/;

/** The caller's headers that must be covered beside `Content-Type`, in lines of `name:value`; `undefined` where there are none. */
export function alsoCovered(headers: Headers | undefined, hasBody: boolean): string | undefined {
  const lines: string[] = [];
  headers?.forEach((value, name) => {
    if ((hasBody && name === 'content-encoding') || OVERRIDES.test(name)) lines.push(`${name}:${value}`);
  });
  return lines.length ? lines.join('\n') : undefined;
}

/** Reads `fetch`'s arguments. */
export async function prepare(input: RequestInfo | URL, init: RequestInit | undefined): Promise<Prepared> {
  const given = input instanceof Request ? input : undefined;
  const address = given ? given.url : String(input);
  let method = (init?.method ?? given?.method ?? 'GET').toUpperCase();
  let headers = init?.headers || given ? new Headers(init?.headers ?? given?.headers) : undefined;
  let body: Uint8Array<ArrayBuffer> | undefined;
  if (init?.body != null || (given && method !== 'GET' && method !== 'HEAD')) {
    // The platform's own Request knows every kind of body, and the Content-Type that each brings. The address does not matter yet.
    const template = given && init?.body == null ? given : new Request('http://localhost/', { method, ...(headers && { headers }), body: init?.body ?? null, duplex: 'half' } as RequestInit);
    const type = template.headers.get('content-type');
    headers ??= new Headers();
    if (type !== null) headers.set('content-type', type);
    try {
      const bytes = new Uint8Array(await template.arrayBuffer());
      if (template.bodyUsed) body = bytes;
    } catch (error) {
      init?.signal?.throwIfAborted();
      throw new BmapError('body_unreadable', 'the body could not be read to its end', { cause: error });
    }
  } else if (init?.method) {
    // Only these are made upper case by `fetch`; any other method is sent as it was given.
    if (!['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'].includes(method)) method = init.method;
  }
  for (const name of RESERVED) {
    if (headers?.has(name)) throw new BmapError('bad_request', `${name} is written by @bmap/auth; leave it out`);
  }
  const signal = init?.signal ?? given?.signal;
  return { method, headers, body, signal, redirect: init?.redirect ?? given?.redirect ?? 'follow', address };
}

/** The absolute URL of a request to a tool, refused before anything is sent if it is not the tool's. */
export function resolve(address: string, token: Pick<Token, 'base' | 'origin'>): URL {
  let url: URL;
  try {
    url = new URL(address, token.base);
  } catch (error) {
    throw new BmapError('bad_url', `${address} is no URL`, { cause: error });
  }
  // A serialised URL begins with its origin; a name and password would stand in between.
  if (url.href.startsWith(token.origin)) return url;
  throw new BmapError('cross_tool_url', `${url.origin} is not the tool's origin ${token.origin}; nothing was sent`);
}
