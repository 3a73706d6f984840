/**
 * The parts of a request that are signed beside its body: its address, and the headers that change its meaning.
 *
 * @module
 */

import { BmapError } from './errors.js';
import type { Token } from './issuer.js';

/**
 * Headers by which some frameworks take another method or path than the request's own, in every spelling. A verifier refuses them
 * where they are not covered (profile §4).
 */
const OVERRIDES = /^x[-_.](http[-_.]method([-_.]override)?|method[-_.]override|(original|rewrite)[-_.]url)$/;

/** The caller's headers that must be covered beside `Content-Type`, in lines of `name:value`; `undefined` where there are none. */
export function alsoCovered(headers: Record<string, string>, hasBody: boolean): string | undefined {
  let lines: string | undefined;
  for (const name in headers) {
    if ((hasBody && name === 'content-encoding') || OVERRIDES.test(name)) lines = `${lines ? `${lines}\n` : ''}${name}:${headers[name]}`;
  }
  return lines;
}

/** The absolute URL of a request to a tool, refused before anything is sent if it is not the tool's. */
export function resolve(address: string, token: Pick<Token, 'base' | 'origin'>): URL {
  let url: URL;
  try {
    // A path is the tool's, also where the tool's address has a path of its own.
    url = new URL(/^\/(?![/\\])/.test(address) ? token.base + address.slice(1) : address, token.base);
  } catch (error) {
    throw new BmapError('bad_url', `${address} is no URL`, { cause: error });
  }
  // A serialised URL begins with its origin; a name and password would stand in between.
  if (url.href.startsWith(token.origin)) return url;
  throw new BmapError('cross_tool_url', `${url.origin} is not the tool's origin ${token.origin}; nothing was sent`);
}
