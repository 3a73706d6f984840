// Whatever `fetch` takes is sent as `fetch` would send it, or refused with `bad_request`. What is sent is looked at where a wrapper of
// `fetch` sees it, and where the tool does.
import { BmapError, createClient } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import vm from 'node:vm';
import { startWorld } from './world.mjs';

/** A client whose requests to the tool are noted as they are handed to `fetch`, and the world behind it. */
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
  await places.fetch('/');
  world.log.tool.length = calls.length = 0;
  return { world, places, calls };
}

const refused = (words) => (error) => error instanceof BmapError && error.code === 'bad_request' && words.test(error.message) && !error.retryable;

test('methods are spelled as fetch spells them, with a body and without', async (t) => {
  const { places, calls, world } = await page(t);
  for (const [given, sent] of [['get', 'GET'], ['hEad', 'HEAD'], ['post', 'POST'], ['Put', 'PUT'], ['delete', 'DELETE'], ['options', 'OPTIONS'], ['PATCH', 'PATCH']]) {
    for (const body of /get|head/i.test(given) ? [undefined] : [undefined, 'x']) {
      assert.equal((await places.fetch('/', { method: given, body })).status, 200, given);
      assert.deepEqual([calls.at(-1).init.method, world.log.tool.at(-1).method, world.log.tool.at(-1).fault], [sent, sent, undefined]);
    }
  }
  // `patch` is another method than PATCH, and servers refuse it; what must not happen is that it becomes one.
  for (const body of [undefined, 'x']) {
    await places.fetch('/', { method: 'patch', body }).catch(() => {});
    assert.equal(calls.at(-1).init.method, 'patch');
  }
});

test('what fetch refuses is bad_request, before anything is sent', async (t) => {
  const { places, calls, world } = await page(t);
  const posted = () => new Request(`${world.tool}/`, { method: 'POST', body: 'x' });
  for (const [input, init, words] of [
    ['/', { method: 'TRACE' }, /sends no TRACE/],
    ['/', { method: 'connect' }, /sends no CONNECT/],
    ['/', { method: 'TRACK', body: 'x' }, /sends no TRACK/],
    ['/', { method: 'G T' }, /no method/],
    ['/', { method: '' }, /no method/],
    ['/', { body: 'x' }, /GET has no body/],
    ['/', { method: 'head', body: 'x' }, /HEAD has no body/],
    [posted(), { method: 'GET' }, /GET has no body/],
    ['/', { mode: 'no-cors' }, /no-cors/],
    ['/', { mode: 'nonsense' }, /refuses these arguments/],
    ['/', { credentials: 'always' }, /refuses these arguments/],
    ['/', { cache: 'only-if-cached' }, /refuses these arguments/],
    ['/', { headers: { 'a b': 'c' } }, /header/],
    ['/', { headers: { a: 'b\nc' } }, /header/],
    ['/', { headers: { a: 'ж' } }, /header/],
    ['/', { method: 'POST', body: {} }, /the body is \[object Object\]/],
    ['/', { method: 'POST', body: Object.create(null) }, /the body is object/],
    ['/', { method: 'POST', body: Symbol('x') }, /the body/],
    ['/', { method: 'POST', body: new SharedArrayBuffer(1) }, /SharedArrayBuffer/],
    [{}, undefined, /the address is \[object Object\]/],
    [undefined, undefined, /the address is undefined/],
    [null, undefined, /the address is null/],
    ['/', { method: 'POST', body: 'x', headers: { 'content-digest': 'sha-256=:AA==:' } }, /content-digest is written by/],
  ]) {
    await assert.rejects(places.fetch(input, init), refused(words), `${String(words)}`);
  }
  assert.deepEqual([world.log.tool.length, calls.filter(({ init }) => !/nonsense|always|only-if/.test(JSON.stringify(init))).length], [0, 0]);
});

test('everything that a Request says is sent, whether it is the input or init', async (t) => {
  const { places, calls, world } = await page(t);
  const said = { method: 'PUT', headers: { 'x-a': '1' }, credentials: 'include', cache: 'no-store', referrer: '', referrerPolicy: 'origin', integrity: '', redirect: 'manual' };
  for (const call of [
    () => places.fetch(new Request(`${world.tool}/r`, { ...said, body: 'b' })),
    () => places.fetch(`${world.tool}/r`, new Request('http://elsewhere.example/', { ...said, body: 'b' })),
    () => places.fetch(new Request(`${world.tool}/r`), { ...said, body: 'b' }),
    () => places.fetch(new Request(`${world.tool}/r`, { ...said, body: 'b', credentials: 'omit', headers: { 'x-b': '2' } }), { credentials: 'include', headers: { 'x-a': '1' } }),
  ]) {
    assert.equal((await call()).status, 200);
    const { address, init } = calls.at(-1);
    assert.deepEqual([address, init.method, init.credentials, init.cache, init.referrer, init.referrerPolicy, init.redirect, init.headers['x-a'], init.headers['x-b']], [`${world.tool}/r`, 'PUT', 'include', 'no-store', '', 'origin', 'manual', '1', undefined]);
    assert.equal(world.log.tool.at(-1).body.toString(), 'b');
  }
  // A request with new headers has no type of its own: `fetch` does not add one either.
  await places.fetch(new Request(`${world.tool}/r`, { method: 'POST', body: 'b' }), { headers: {} });
  assert.equal(world.log.tool.at(-1).headers['content-type'], undefined);
});

test('a signal of null takes the one of the Request away', async (t) => {
  const { places, world } = await page(t);
  const request = new Request(`${world.tool}/`, { signal: AbortSignal.abort() });
  assert.equal((await places.fetch(request, { signal: null })).status, 200);
  await assert.rejects(places.fetch(request), { name: 'AbortError' });
});

test('what is changed after the call is not what is sent', async (t) => {
  const { places, world } = await page(t);
  const bytes = new TextEncoder().encode('before');
  const init = { method: 'POST', body: bytes, headers: new Headers({ 'x-a': 'before' }) };
  const call = places.fetch('/', init);
  bytes.fill(0x21);
  init.headers.set('x-a', 'after');
  init.method = 'DELETE';
  assert.equal((await call).status, 200);
  assert.deepEqual([world.log.tool[0].method, world.log.tool[0].headers['x-a'], world.log.tool[0].body.toString()], ['POST', 'before', 'before']);
});

test('a Request of another realm is one', async (t) => {
  const { places, world } = await page(t);
  const real = new Request(`${world.tool}/r`, { method: 'POST', body: 'x' });
  const names = ['url', 'method', 'headers', 'body', 'signal', 'redirect', 'bodyUsed', 'mode'];
  const foreign = { ...Object.fromEntries(names.map((name) => [name, real[name]])), bodyUsed: true, arrayBuffer: () => real.arrayBuffer() };
  assert.ok(!(foreign instanceof Request));
  assert.equal((await places.fetch(foreign)).status, 200);
  assert.deepEqual([world.log.tool[0].method, world.log.tool[0].body.toString()], ['POST', 'x']);
  const buffer = vm.runInNewContext('new Uint8Array([97, 98, 99]).subarray(1)');
  assert.ok(!(buffer instanceof Uint8Array));
  await places.fetch('/', { method: 'POST', body: buffer });
  await places.fetch('/', { method: 'POST', body: vm.runInNewContext('new Uint8Array([97, 98, 99]).buffer') });
  assert.deepEqual(world.log.tool.slice(1).map(({ body }) => body.toString()), ['bc', 'abc']);
});

test('u02 headers that a wrapper of fetch adds go out, at the tool and at the token endpoint', async (t) => {
  const world = await startWorld(t);
  const added = { traceparent: '00-1-2-01', baggage: 'a=b', 'idempotency-key': '1', 'if-none-match': '"x"', 'x-requested-with': 'XMLHttpRequest' };
  for (const wrapper of [
    (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...added } }),
    (address, init) => fetch(new Request(address, { ...init, headers: [...Object.entries(init.headers), ...Object.entries(added)] })),
    (address, init) => {
      const headers = new Headers(init.headers);
      for (const name in added) headers.set(name, added[name]);
      return fetch(new Request(new Request(address, init), { headers }));
    },
  ]) {
    const client = createClient({ issuer: world.issuer, ticket: () => world.ticket(), fetch: wrapper });
    assert.equal((await client.tool('places').fetch('/', { method: 'POST', body: 'b' })).status, 200);
    for (const { headers } of [world.log.tool.at(-1), world.log.token.at(-1)]) for (const name in added) assert.equal(headers[name], added[name]);
    client.close();
  }
});

test('u13 dots inside a longer segment of a path are ordinary', async (t) => {
  const { places, world } = await page(t);
  for (const path of ['/v1/compare/v1.0...v2.0', '/a..b', '/..a/b..', '/.../x']) {
    assert.equal((await places.fetch(path)).status, 200, path);
    assert.deepEqual([world.log.tool.at(-1).url, world.log.tool.at(-1).fault], [path, undefined]);
  }
});

test('u15 an address of the tool with a path of its own', async (t) => {
  const world = await startWorld(t);
  for (const base of ['/api/v2', '/api/v2/']) {
    world.baseUrl = world.tool + base;
    const client = createClient({ issuer: world.issuer, ticket: () => world.ticket() });
    const places = client.tool('places');
    for (const [given, sent] of [
      ['/v1/search?q=x', '/api/v2/v1/search?q=x'],
      ['v1/search', '/api/v2/v1/search'],
      ['?q=x', '/api/v2/?q=x'],
      ['/', '/api/v2/'],
      ['', '/api/v2/'],
      [`${world.tool}/api/v2/v1`, '/api/v2/v1'],
      [new URL(`${world.tool}/api/v2/v1`), '/api/v2/v1'],
    ]) {
      assert.equal((await places.fetch(given)).status, 200, String(given));
      assert.deepEqual([world.log.tool.at(-1).url, world.log.tool.at(-1).fault], [sent, undefined]);
    }
    for (const other of ['//127.0.0.2/x', '/\\127.0.0.2/x', '\\\\127.0.0.2/x']) await assert.rejects(places.fetch(other), (error) => error.code === 'cross_tool_url', other);
    client.close();
  }
});

test('u14 a wrapper that takes text only, on a platform without Request and Headers', async (t) => {
  const world = await startWorld(t);
  const real = fetch;
  const given = [];
  const wrapper = (address, init) => {
    given.push([typeof address, Object.getPrototypeOf(init.headers) === Object.prototype, typeof init.body]);
    return real(address, init);
  };
  const kept = {};
  for (const name of ['Request', 'Headers']) {
    kept[name] = Object.getOwnPropertyDescriptor(globalThis, name);
    delete globalThis[name];
  }
  t.after(() => Object.defineProperties(globalThis, kept));
  assert.equal(typeof Request, 'undefined');
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket(), fetch: wrapper });
  t.after(() => client.close());
  const places = client.tool('places');
  for (const headers of [{ 'X-A': 'b' }, [['x-a', 'b']], new Map([['x-a', 'b']])]) {
    assert.equal((await places.fetch('/v1/x', { method: 'POST', body: 'text', headers })).status, 200);
    assert.equal(world.log.tool.at(-1).headers['x-a'], 'b');
  }
  assert.equal((await places.fetch('/v1/x', { method: 'POST', body: new URLSearchParams({ q: 'x' }) })).status, 200);
  assert.deepEqual(new Set(given.map(String)), new Set(['string,true,string']));
  world.baseUrl = 'http://127.0.0.1:9';
  const away = createClient({ issuer: world.issuer, ticket: () => world.ticket(), fetch: wrapper });
  await assert.rejects(away.tool('places').fetch('/'), (error) => error.code === 'network');
});
