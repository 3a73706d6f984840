import { BmapError, createClient, problemOf } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listen, startWorld } from './world.mjs';

/** A page's client in a new world. */
async function page(t, options = {}, more = {}) {
  const world = await startWorld(t, options);
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket(), ...more });
  t.after(() => client.close());
  return { world, client, places: client.tool('places') };
}

const refusedWith = (code) => (error) => error instanceof BmapError && error.code === code;

test('a GET is signed and let in', async (t) => {
  const { world, places } = await page(t);
  const response = await places.fetch('/v1/search?q=%D0%A1%D0%BE%D1%84%D0%B8%D1%8F');
  assert.equal(response.status, 200);
  assert.equal((await response.json()).url, '/v1/search?q=%D0%A1%D0%BE%D1%84%D0%B8%D1%8F');
  assert.deepEqual(world.log.tool.map((entry) => entry.fault), [undefined]);
});

test('bodies of every kind are digested and arrive whole, with the type that they bring', async (t) => {
  const { world, places } = await page(t);
  const form = new FormData();
  form.set('a', 'b');
  const bytes = new Uint8Array(100_000).map((_, index) => index);
  const stream = () => new Blob(['stre', 'am']).stream();
  for (const [body, type, sent] of [
    ['text', 'text/plain;charset=UTF-8', 'text'],
    [new URLSearchParams({ q: 'x y' }), 'application/x-www-form-urlencoded;charset=UTF-8', 'q=x+y'],
    [new Blob(['blob'], { type: 'text/x' }), 'text/x', 'blob'],
    [bytes, undefined, Buffer.from(bytes)],
    [bytes.buffer, undefined, Buffer.from(bytes)],
    [stream(), undefined, 'stream'],
    [form, /^multipart\/form-data; boundary=/, undefined],
  ]) {
    const response = await places.fetch('/v1/x', { method: 'POST', body });
    assert.equal(response.status, 200, String(body));
    const { headers, body: arrived } = world.log.tool.at(-1);
    if (type instanceof RegExp) assert.match(headers['content-type'], type);
    else assert.equal(headers['content-type'], type);
    if (sent !== undefined) assert.deepEqual(arrived, Buffer.from(sent));
  }
  assert.ok(world.log.tool.every((entry) => entry.fault === undefined));
});

test('a body that is there and has nothing in it is sent as it is, once it was read to its end', async (t) => {
  const { world, places } = await page(t);
  await places.fetch('/'); // the tool's address is known from here on
  const empty = () => new Blob([]).stream();
  for (const [input, init] of [
    [new Request(`${world.tool}/r`, { method: 'POST', body: '' })],
    [new Request(`${world.tool}/r`, { method: 'PUT', body: empty(), duplex: 'half' })],
    [new Request(`${world.tool}/r`, { method: 'DELETE' })],
    ['/r', { method: 'POST', body: '' }],
    ['/r', { method: 'POST', body: empty(), duplex: 'half' }],
  ]) {
    const response = await places.fetch(input, init);
    assert.equal(response.status, 200);
    const arrived = world.log.tool.at(-1);
    assert.deepEqual([arrived.fault, arrived.body.length, arrived.headers['content-digest']], [undefined, 0, undefined]);
  }
});

test('the arguments of fetch: Request, URL, init over Request, headers, methods', async (t) => {
  const { world, places } = await page(t);
  await places.fetch('/'); // the tool's address is known from here on
  const request = new Request(`${world.tool}/r?x=1`, { method: 'PUT', body: '{}', headers: { 'content-type': 'application/json', 'x-a': '1' } });
  assert.equal((await places.fetch(request)).status, 200);
  assert.deepEqual([world.log.tool.at(-1).method, world.log.tool.at(-1).headers['x-a'], world.log.tool.at(-1).body.toString()], ['PUT', '1', '{}']);
  assert.equal(request.bodyUsed, true);

  assert.equal((await places.fetch(new Request(`${world.tool}/r`), { method: 'delete' })).status, 200);
  assert.equal(world.log.tool.at(-1).method, 'DELETE');
  assert.equal((await places.fetch(new URL('/u', world.tool), { method: 'post', body: 'b', headers: [['X-B', '2']] })).status, 200);
  assert.deepEqual([world.log.tool.at(-1).method, world.log.tool.at(-1).headers['x-b']], ['POST', '2']);
  assert.equal((await places.fetch('/p', { method: 'PATCH', body: 'b' })).status, 200);
  assert.equal((await places.fetch('relative?y', { method: 'HEAD' })).status, 200);
  assert.equal(world.log.tool.at(-1).url, '/relative?y');
  assert.equal((await places.fetch('/post-without-body', { method: 'POST' })).status, 200);
});

test("the tool's own errors come back as they are", async (t) => {
  const { world, places } = await page(t);
  world.handler = (_, response) => response.writeHead(418, { 'content-type': 'application/json' }).end('{"code":"teapot"}');
  const response = await places.fetch('/');
  assert.equal(response.status, 418);
  assert.equal(await problemOf(response), undefined);
  assert.deepEqual(await response.json(), { code: 'teapot' });
  assert.equal(world.log.tool.length, 1);
});

test("a refusal by the tool's guard comes back too, and says what it is", async (t) => {
  const { world, places } = await page(t);
  world.toolRefuses.push({ status: 403, code: 'scope_denied' });
  const response = await places.fetch('/');
  const problem = await problemOf(response);
  assert.deepEqual([problem.code, problem.status, problem.requestId, problem.retryable], ['scope_denied', 403, 'req-1', false]);
  assert.equal((await response.json()).code, 'scope_denied', 'the body can still be read');
  assert.equal(world.log.tool.length, 1, 'nothing was repeated');
});

test('nothing is sent to another origin', async (t) => {
  const { world, places } = await page(t);
  const other = [];
  const { url } = await listen(t, (request, response) => (other.push(request.url), response.end()));
  for (const address of [`${url}/x`, new URL(url), new Request(url), '//127.0.0.2/x', world.tool.replace('127.0.0.1', 'localhost'), world.tool.replace('://', '://u:p@')]) {
    await assert.rejects(places.fetch(address), refusedWith('cross_tool_url'));
  }
  await assert.rejects(places.fetch(`${world.tool}0/x`), refusedWith('bad_url'));
  assert.deepEqual([other.length, world.log.tool.length], [0, 0]);
});

test("an origin that only begins like the tool's is another one", async (t) => {
  const sent = [];
  const { world, places } = await page(t, {}, { fetch: (address, init) => (String(address).endsWith('/oauth/token') ? fetch(address, init) : sent.push(address)) });
  world.baseUrl = 'https://places.example';
  for (const address of ['https://places.example.evil/', 'https://places.example:8443/', 'https://places.example@evil.example/', 'http://places.example/', 'https://places.examples/']) {
    await assert.rejects(places.fetch(address), refusedWith('cross_tool_url'), address);
  }
  assert.equal(sent.length, 0);
});

test('a path that every verifier refuses is refused before it is sent', async (t) => {
  const { world, places } = await page(t);
  for (const path of ['/a//b', '/a%2fb', '/a%2Fb', '/a%5cb', '/a%5Cb', '/a%00', '/api%2Ex/y', '/%zz', '/100%', '/%2', 'http://[']) {
    await assert.rejects(places.fetch(path), refusedWith('bad_url'), path);
  }
  assert.equal(world.log.tool.length, 0);
  assert.equal((await places.fetch('/a/../b#fragment')).status, 200, 'what URL resolves is fine');
  assert.equal(world.log.tool[0].url, '/b');
  assert.equal((await places.fetch('/v1/compare/v1.0...v2.0')).status, 200, 'dots inside a longer segment are ordinary');
  assert.equal(world.log.tool[1].url, '/v1/compare/v1.0...v2.0');
});

test('o11 headers that a verifier wants covered are covered where the caller sets them', async (t) => {
  const { world, places } = await page(t);
  const covered = () => [...world.log.tool.at(-1).headers['signature-input'].matchAll(/"([a-z][^"]*)"[ )]/g)].map(([, name]) => name);
  const send = async (headers, body) => {
    assert.equal((await places.fetch('/', { method: 'POST', headers, body })).status, 200);
    assert.equal(world.log.tool.at(-1).fault, undefined);
    return covered();
  };
  assert.deepEqual(await send({ 'Content-Encoding': 'gzip', 'content-type': 'text/plain' }, 'x'), ['authorization', 'content-type', 'content-digest', 'content-encoding']);
  assert.deepEqual(await send({ 'content-encoding': 'gzip' }, undefined), ['authorization'], 'it describes nothing where there is no body');
  for (const name of ['X-HTTP-Method', 'x-http-method-override', 'X_HTTP_Method_Override', 'x.method.override', 'x-original_url', 'X-Rewrite-URL']) {
    assert.deepEqual(await send({ [name]: 'DELETE' }, undefined), ['authorization', name.toLowerCase()]);
  }
  // Two lines of one name are one value (RFC 9421 §2.1).
  assert.deepEqual(await send([['content-encoding', 'gzip'], ['content-encoding', 'br'], ['x-original-url', '/a:b']], 'x'), ['authorization', 'content-type', 'content-digest', 'content-encoding', 'x-original-url']);
  assert.equal(world.log.tool.at(-1).headers['content-encoding'], 'gzip, br');
  assert.deepEqual(await send({ 'x-original-urls': '/', 'x-http': '1', accept: 'text/plain' }, undefined), ['authorization'], 'others are not');
  // So that it can fail: the world refuses what a verifier refuses.
  const { status } = await fetch(world.tool, { headers: { ...world.log.tool.at(-1).headers, 'x-original-url': '/admin' } });
  assert.equal(status, 400);
});

test("headers that are the package's to write are refused", async (t) => {
  const { world, places } = await page(t);
  for (const name of ['authorization', 'Signature', 'Signature-Input']) {
    await assert.rejects(places.fetch('/', { headers: { [name]: 'x' } }), refusedWith('bad_request'));
  }
  assert.equal(world.log.tool.length, 0);
});

test('a redirect is not followed with a signature for another address', async (t) => {
  const { world, places } = await page(t);
  const stolen = [];
  const { url } = await listen(t, (request, response) => (stolen.push(request.headers), response.end()));
  world.handler = (_, response) => response.writeHead(302, { location: `${url}/` }).end();
  await assert.rejects(places.fetch('/'), refusedWith('redirect_refused'));
  await assert.rejects(places.fetch('/', { redirect: 'error' }), refusedWith('redirect_refused'));
  const response = await places.fetch('/', { redirect: 'manual' });
  assert.equal(response.status, 302);
  assert.equal(stolen.length, 0);
  world.handler = (_, response) => response.writeHead(304).end();
  assert.equal((await places.fetch('/')).status, 304, 'no redirect');
});

test('an abort ends the call and not the flight that others wait for', async (t) => {
  const { world, client } = await page(t, {}, {});
  let release;
  const slow = createClient({ issuer: world.issuer, ticket: () => new Promise((resolve) => (release = () => resolve(world.ticket()))) });
  t.after(() => slow.close());
  const abort = new AbortController();
  const first = slow.tool('places').fetch('/first', { signal: abort.signal });
  const second = slow.tool('places').fetch('/second');
  await new Promise((resolve) => setTimeout(resolve, 10));
  abort.abort();
  await assert.rejects(first, { name: 'AbortError' });
  release();
  assert.equal((await second).status, 200);
  assert.deepEqual(world.log.tool.map((entry) => entry.url), ['/second']);

  await assert.rejects(client.tool('places').fetch('/', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  world.handler = () => {};
  await assert.rejects(client.tool('places').fetch('/', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
});

test('a body that breaks while it is read', async (t) => {
  const { world, places } = await page(t);
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) });
  await assert.rejects(places.fetch('/', { method: 'POST', body: broken }), refusedWith('body_unreadable'));
  const used = new Request(`${world.tool}/`, { method: 'POST', body: 'x' });
  await used.text();
  await assert.rejects(places.fetch(used), refusedWith('body_unreadable'));
  assert.equal(world.log.tool.length, 0);
});

test('a tool that is gone is a network error', async (t) => {
  const { world, places } = await page(t);
  world.baseUrl = 'http://127.0.0.1:9';
  await assert.rejects(places.fetch('/'), (error) => refusedWith('network')(error) && error.retryable && error.cause instanceof TypeError);
});

test('onSigned says what was signed', async (t) => {
  const events = [];
  const { world, places } = await page(t, {}, { onSigned: (event) => events.push(event) });
  await places.fetch('/v1/nearby?x=1', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  const [event] = events;
  assert.deepEqual([event.tool, event.method, event.url], ['places', 'POST', `${world.tool}/v1/nearby?x=1`]);
  assert.deepEqual(event.covered, ['authorization', '@method', '@authority', '@path', '@query', 'content-type', 'content-digest']);
  assert.equal(event.signatureInput, world.log.tool[0].headers['signature-input']);
  for (const [name, value] of Object.entries(event.headers)) assert.equal(world.log.tool[0].headers[name], value);
  assert.ok(event.microseconds >= 0 && event.microseconds < 1e6);
});

test('a thousand requests have a thousand nonces', async (t) => {
  const { world, places } = await page(t);
  for (let i = 0; i < 10; i++) {
    await Promise.all(Array.from({ length: 100 }, async (_, j) => assert.equal((await places.fetch(`/${i}/${j}`)).status, 200)));
  }
  assert.ok(world.log.tool.every((entry) => entry.fault === undefined), 'none was a replay');
});
