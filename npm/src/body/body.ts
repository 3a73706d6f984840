/**
 * Bodies, up to their bytes: text and bytes at once, the rest as soon as it can be read.
 *
 * @module
 */

import { type Content, joined } from './content.js';
import { BmapError } from '../errors.js';

/** A body that has to be waited for: a body by itself, or a `Request` with one. */
export type Given = { body: unknown } | { request: Request };

/** The class of an object, whichever realm it is of. */
function classOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Reads a body that is there already; `undefined` for one that has to be waited for. */
export function readNow(body: unknown): Content | undefined {
  if (ArrayBuffer.isView(body)) return bytesOf(new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength).slice());
  const kind = classOf(body);
  if (kind === 'ArrayBuffer') return bytesOf(new Uint8Array(body as ArrayBuffer).slice());
  if (['Blob', 'File', 'FormData', 'ReadableStream'].includes(kind) || (typeof body === 'object' && body && Symbol.asyncIterator in body)) return undefined;
  const sent = textOf(body, 'the body');
  const type = kind === 'URLSearchParams' ? 'application/x-www-form-urlencoded' : 'text/plain';
  return { bytes: new TextEncoder().encode(sent), sent, type: `${type};charset=UTF-8` };
}

/** Reads a body that can't be read at once. `undefined` where a request has none. */
export async function readLater(given: Given): Promise<Content | undefined> {
  if ('request' in given) {
    const read = bytesOf(new Uint8Array(await given.request.arrayBuffer()));
    return given.request.bodyUsed ? read : undefined;
  }
  const body = given.body as Blob | FormData | ReadableStream | AsyncIterable<Uint8Array>;
  const kind = classOf(body);
  // The platform's own writer of forms is not used: WebKit's can't be read where the form holds a file.
  if (kind === 'FormData') return (await import('./multipart.js')).multipart(body as FormData);
  // `Request` takes a stream for text in Firefox; `Response` takes it for a stream everywhere.
  if (kind === 'ReadableStream') return bytesOf(new Uint8Array(await new Response(body as ReadableStream).arrayBuffer()));
  if (kind === 'Blob' || kind === 'File') return bytesOf(new Uint8Array(await (body as Blob).arrayBuffer()), (body as Blob).type || undefined);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    if (classOf(chunk) !== 'Uint8Array') throw new TypeError('a stream of something else than bytes');
    chunks.push(chunk);
  }
  return bytesOf(joined(chunks));
}

function bytesOf(bytes: Uint8Array<ArrayBuffer>, type?: string): Content {
  return { bytes, sent: bytes, type };
}

/** What has a text of its own; an object that has none would be sent as `[object Object]`. */
export function textOf(value: unknown, what: string): string {
  let text: string | undefined;
  try {
    text = `${value as string}`; // not String(): fetch refuses a symbol
  } catch {
    // a symbol, or an object without a text
  }
  if (value != null && text !== undefined && !text.startsWith('[object ')) return text;
  throw bad(`${what} is ${text ?? typeof value}; fetch would send that as text`);
}

/** Arguments that are not sent. */
export function bad(message: string, cause?: unknown): BmapError {
  return new BmapError('bad_request', message, { cause });
}
