// Bodies: text and bytes without waiting, the rest by readers that work in every engine.
import { BmapError, createClient } from '@bmap/auth';
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { startWorld } from './world.mjs';

async function page(t) {
  const world = await startWorld(t);
  const calls = [];
  const wrapper = (address, init) => {
    if (!String(address).endsWith('/oauth/token')) calls.push({ address, init });
    return fetch(address, init);
  };
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket(), fetch: wrapper });
  t.after(() => client.close());
  const places = client.tool('places');
  await places.fetch('/', { method: 'POST', body: 'first' });
  world.log.tool.length = calls.length = 0;
  return { world, places, calls };
}

const LIMIT = 65_536;
const refused = (words) => (error) => error instanceof BmapError && error.code === 'bad_request' && words.test(error.message);

/** Runs what needs no event loop: promises that hold already. */
async function microtasks(count = 200) {
  for (let i = 0; i < count; i++) await undefined;
}

test('with keepalive, text and bytes up to 64 KiB are handed to fetch before any task runs', async (t) => {
  const { world, places, calls } = await page(t);
  for (const body of ['x', 'ж'.repeat(LIMIT / 2), new Uint8Array(LIMIT), new Uint8Array(LIMIT).buffer, new DataView(new ArrayBuffer(10), 2), new URLSearchParams({ a: 'b' })]) {
    calls.length = 0;
    const call = places.fetch('/v1/x', { method: 'POST', body, keepalive: true });
    await microtasks();
    assert.equal(calls.length, 1, 'fetch was called without waiting');
    assert.equal(calls[0].init.keepalive, true);
    assert.equal((await call).status, 200);
    assert.equal(world.log.tool.at(-1).fault, undefined);
  }
  const call = places.fetch('/v1/x', { keepalive: true });
  await microtasks();
  assert.equal(calls.length, 2, 'a GET too');
  await call;
});

test('with keepalive, what would be lost is refused in words', async (t) => {
  const { world, places } = await page(t);
  const form = new FormData();
  form.set('a', new Blob(['x']));
  for (const body of [new Blob(['x']), form, new Blob(['x']).stream(), Readable.from([new Uint8Array(1)])]) {
    await assert.rejects(places.fetch('/', { method: 'POST', body, keepalive: true }), refused(/with keepalive, give the body in init, as text, bytes or URLSearchParams/));
  }
  const request = () => new Request(`${world.tool}/`, { method: 'POST', body: 'x', keepalive: true });
  await assert.rejects(places.fetch(request()), refused(/with keepalive/));
  for (const body of ['x'.repeat(LIMIT + 1), 'ж'.repeat(LIMIT / 2 + 1), new Uint8Array(LIMIT + 1)]) {
    await assert.rejects(places.fetch('/', { method: 'POST', body, keepalive: true }), refused(/65536 bytes at most, and this has 6553[78]/));
  }
  assert.equal(world.log.tool.length, 0);
  assert.equal((await places.fetch(request(), { body: 'given in init' })).status, 200);
  assert.equal((await places.fetch(new Request(`${world.tool}/`, { method: 'POST', keepalive: true }))).status, 200, 'no body, nothing to wait for');
});

test('a form is written here as fetch would write it', async (t) => {
  const { world, places } = await page(t);
  const form = new FormData();
  form.append('plain', 'a\nb\rc\r\nd ж');
  form.append('q"u\no\rte', 'x');
  form.append('file', new File([new Uint8Array([0, 13, 10, 255])], 'n"a\nme ж.bin', { type: 'image/x' }));
  form.append('file', new Blob(['untyped']));
  form.append('', '');
  const parts = ({ headers, body }) => {
    const [, boundary] = /^multipart\/form-data; boundary=(\S+)$/.exec(headers['content-type']);
    return body.toString('latin1').replaceAll(boundary, 'BOUNDARY');
  };
  await fetch(world.tool, { method: 'POST', body: form });
  const theirs = parts(world.log.tool[0]);
  assert.equal((await places.fetch('/', { method: 'POST', body: form })).status, 200);
  const ours = parts(world.log.tool[1]);
  // Node gives names in names as they are where the standard gives line breaks as CR LF; the rest is the same to the byte.
  const lines = (text) => text.replace(/q%22u(%0D%0A|%0A)o(%0D%0A|%0D)te/, 'NAME').replace(/--BOUNDARY--(\r\n)?$/, 'END');
  assert.equal(lines(ours), lines(theirs));
  assert.match(ours, /name="q%22u%0D%0Ao%0D%0Ate"/);
  const read = await new Response(world.log.tool[1].body, { headers: { 'content-type': world.log.tool[1].headers['content-type'] } }).formData();
  assert.equal(read.get('plain'), 'a\r\nb\r\nc\r\nd ж');
  assert.deepEqual([read.getAll('file').length, (await read.getAll('file')[1].text())], [2, 'untyped']);
  const empty = new FormData();
  assert.equal((await places.fetch('/', { method: 'POST', body: empty })).status, 200);
  await places.fetch('/', { method: 'POST', body: form, headers: { 'content-type': 'multipart/form-data; boundary=mine' } });
  assert.equal(world.log.tool.at(-1).headers['content-type'], 'multipart/form-data; boundary=mine', "the caller's type stays, as in fetch");
});

test('a stream in init.body is read as a stream where Request takes it for text', async (t) => {
  const { world, places } = await page(t);
  const real = globalThis.Request;
  // As in Firefox.
  globalThis.Request = class extends real {
    constructor(input, init) {
      super(input, init?.body instanceof ReadableStream ? { ...init, body: String(init.body) } : init);
    }
  };
  t.after(() => (globalThis.Request = real));
  assert.equal(await new Request('http://a/', { method: 'POST', body: new Blob(['x']).stream() }).text(), '[object ReadableStream]');
  assert.equal((await places.fetch('/', { method: 'POST', body: new Blob(['stream']).stream(), duplex: 'half' })).status, 200);
  assert.equal((await places.fetch('/', { method: 'POST', body: Readable.from([new Uint8Array([97]), new Uint8Array([98])]), duplex: 'half' })).status, 200);
  async function* chunks() {
    yield new Uint8Array([99]);
  }
  assert.equal((await places.fetch('/', { method: 'POST', body: chunks(), duplex: 'half' })).status, 200);
  assert.deepEqual(world.log.tool.map(({ body, fault }) => [body.toString(), fault]), [['stream', undefined], ['ab', undefined], ['c', undefined]]);
  for (const body of [Readable.from(['text']), Readable.from([1])]) await assert.rejects(places.fetch('/', { method: 'POST', body, duplex: 'half' }), (error) => error.code === 'body_unreadable');
  const locked = new Blob(['x']).stream();
  locked.getReader();
  await assert.rejects(places.fetch('/', { method: 'POST', body: locked, duplex: 'half' }), (error) => error.code === 'body_unreadable');
});

test('text is the same bytes as from fetch, and stays text for a wrapper', async (t) => {
  const { world, places, calls } = await page(t);
  for (const body of ['жx', 'lone \ud800 half', '', '\u0000', 5, true, new String('object'), new URL('http://a/b')]) {
    await fetch(world.tool, { method: 'POST', body });
    const theirs = world.log.tool.at(-1);
    assert.equal((await places.fetch('/', { method: 'POST', body })).status, 200);
    const ours = world.log.tool.at(-1);
    assert.deepEqual([ours.body, ours.headers['content-type'], ours.fault], [theirs.body, theirs.headers['content-type'], undefined]);
    assert.equal(typeof calls.at(-1).init.body, 'string');
  }
});

test('an abort ends the reading of a body', async (t) => {
  const { places } = await page(t);
  const abort = new AbortController();
  const call = places.fetch('/', { method: 'POST', body: new ReadableStream({}), duplex: 'half', signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await assert.rejects(call, { name: 'AbortError' });
});
