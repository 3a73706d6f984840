/**
 * The arguments of `fetch`, read the way `fetch` reads them, up to the bytes that will be sent.
 *
 * A request that `fetch` would refuse, or would send otherwise than it is signed, is `bad_request` here, before anything is sent.
 *
 * @module
 */

import { unlessAborted } from './abort.js';
import { bad, type Given, readLater, readNow, textOf } from './body/body.js';
import type { Content } from './body/content.js';
import { BmapError } from './errors.js';

/** A request of which everything is known but the signature. */
export interface Prepared {
  method: string;
  /** The caller's headers, and the type that the body brings, by lower-case name. */
  headers: Record<string, string>;
  /**
   * The whole body: its digest is signed, so it can't be a stream any more. `undefined` where there is none; empty where there is one
   * with nothing in it, which was read up by this and so is sent instead of the given body.
   */
  body: Content | undefined;
  /** Whether the page may be going away, so that nothing can be waited for. */
  keepalive: boolean;
  signal: AbortSignal | undefined;
  /** The caller's choice at a redirect. */
  redirect: RequestRedirect;
  /** Everything else that `fetch` is to be told. */
  init: RequestInit;
  /** The address as given: relative ones wait for the tool's base URL. */
  address: string;
}

/** Headers that are this package's to write. */
const RESERVED = ['authorization', 'signature', 'signature-input'];

/** Members that a `Request` has, given as input or as `init`, with the value that says nothing. Method, headers, body, signal and redirect are apart. */
const MEMBERS: Record<string, unknown> = {
  mode: 'cors',
  credentials: 'same-origin',
  cache: 'default',
  referrer: 'about:client',
  referrerPolicy: '',
  integrity: '',
  keepalive: false,
  cf: undefined,
};

/** The bytes of bodies that may be under way with `keepalive` (Fetch Standard §4.5). */
const KEEPALIVE_LIMIT = 65_536;

/** Reads `fetch`'s arguments. Text and bytes are read without waiting for anything but promises that hold. */
export async function prepare(input: RequestInfo | URL, more: RequestInit | undefined): Promise<Prepared> {
  // By its looks: a platform need not have a global `Request`, and one of another realm is one too.
  const given = typeof input === 'object' && input && 'url' in input && 'method' in input ? input : undefined;
  const init = more ?? {};
  const asked = (name: string): unknown => (init as Record<string, unknown>)[name] ?? (given as Record<string, unknown> | undefined)?.[name];
  const address = given ? given.url : textOf(input, 'the address');
  const method = methodOf(String(init.method ?? given?.method ?? 'GET'));
  const headers = headersOf(init.headers ?? given?.headers);
  const keepalive = !!asked('keepalive');
  const signal = (init.signal === undefined ? given?.signal : init.signal) ?? undefined;
  const rest = { ...init } as Record<string, unknown>;
  for (const name in MEMBERS) {
    const value = asked(name);
    if (value != null && value !== MEMBERS[name]) rest[name] = value;
  }
  if (rest.mode === 'navigate') delete rest.mode; // a service worker's own request for a page; `fetch` leaves it out too
  if (rest.mode === 'no-cors') throw bad('no-cors takes the signature off; leave mode out');
  for (const name of ['body', 'signal']) delete rest[name];
  const body = await bodyOf(init.body, given, keepalive, signal);
  if (body) {
    if (method === 'GET' || method === 'HEAD') throw bad(`${method} has no body in fetch`);
    if (keepalive && body.bytes.length > KEEPALIVE_LIMIT) throw bad(`a body with keepalive has ${KEEPALIVE_LIMIT} bytes at most, and this has ${body.bytes.length}`);
    if (body.type) headers['content-type'] ??= body.type;
  }
  for (const name of [...RESERVED, ...(body?.bytes.length ? ['content-digest'] : [])]) {
    if (name in headers) throw bad(`${name} is written by @bmap/auth; leave it out`);
  }
  return { method, headers, body, keepalive, signal, redirect: init.redirect ?? given?.redirect ?? 'follow', init: rest, address };
}

async function bodyOf(body: unknown, given: Request | undefined, keepalive: boolean, signal: AbortSignal | undefined): Promise<Content | undefined> {
  let source: Given;
  if (body != null) {
    const now = readNow(body);
    if (now) return now;
    source = { body };
  } else if (given && !/^(GET|HEAD)$/.test(given.method)) {
    // Firefox has no Request.body; there a type says that there is one.
    if (keepalive && given.body === null) return undefined;
    source = { request: given };
  } else return undefined;
  if (keepalive && (body != null || given?.body || given?.headers.has('content-type'))) {
    throw bad('a page that goes away can wait for nothing: with keepalive, give the body in init, as text, bytes or URLSearchParams');
  }
  try {
    return await unlessAborted(readLater(source), signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BmapError) throw error;
    throw new BmapError('body_unreadable', 'the body could not be read to its end, or was read before', { cause: error });
  }
}

/** A method as `fetch` spells it: six are made upper case, any other is left as it is. */
function methodOf(method: string): string {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(method)) throw bad(`${JSON.stringify(method)} is no method`);
  if (/^(connect|trace|track)$/i.test(method)) throw bad(`fetch sends no ${method.toUpperCase()}`);
  return /^(delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method;
}

/** Headers as a plain object: what wrappers of `fetch` take that know nothing of `Headers`. */
function headersOf(given: HeadersInit | undefined): Record<string, string> {
  const all: Record<string, string> = {};
  if (given === undefined) return all;
  const add = (value: string, name: string): void => {
    name = name.toLowerCase();
    all[name] = name in all ? `${all[name]}, ${value}` : value;
  };
  try {
    if (typeof Headers === 'function') new Headers(given).forEach(add);
    else if (typeof given.forEach === 'function' && !Array.isArray(given)) (given as Headers).forEach(add);
    else for (const [name, value] of Array.isArray(given) ? given : Object.entries(given)) add(String(value), String(name));
  } catch (error) {
    throw bad('a header has a name or a value that can not be sent', error);
  }
  return all;
}
