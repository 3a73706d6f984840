import { BmapError, createClient, init } from '@bmap/auth';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listen, startWorld } from './world.mjs';

// One WebAssembly for the whole process, so these run in this order.

const file = readFileSync(fileURLToPath(import.meta.resolve('@bmap/auth/wasm')));
const unavailable = (retryable) => (error) => error instanceof BmapError && error.code === 'wasm_unavailable' && error.retryable === retryable;

async function page(t) {
  const world = await startWorld(t);
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket() });
  t.after(() => client.close());
  return { world, places: client.tool('places') };
}

test('a load that failed is tried again at the next request', async (t) => {
  const { world, places } = await page(t);
  await fetch(world.tool); // Node's fetch compiles a module of its own, once
  world.log.tool.length = 0;
  const compile = t.mock.method(WebAssembly, 'compile', async () => {
    throw new WebAssembly.CompileError('refused by the policy');
  });
  await assert.rejects(places.fetch('/'), (error) => unavailable(false)(error) && /wasm-unsafe-eval/.test(error.message));
  assert.equal(world.log.tool.length, 0);
  compile.mock.restore();
  assert.equal((await places.fetch('/')).status, 200);
});

test('it is compiled asynchronously, once', async (t) => {
  const { places } = await page(t);
  const compile = t.mock.method(WebAssembly, 'compile');
  await Promise.all([init(), init(), places.fetch('/'), places.fetch('/')]);
  assert.equal(compile.mock.callCount(), 0, 'the test before this one did');
});

test('it may come from elsewhere: bytes, a module, an address, an answer', async (t) => {
  const { places } = await page(t);
  const { url } = await listen(t, (_, response) => response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(file));
  for (const wasm of [file, new Uint8Array(file).buffer, await WebAssembly.compile(file), new URL(`${url}/sdk.wasm`), `${url}/sdk.wasm`, new Response(file), fetch(url)]) {
    await init({ wasm });
    assert.equal((await places.fetch('/')).status, 200, String(wasm));
  }
});

test('what is no module is refused, and the inlined one is there again', async (t) => {
  const { places } = await page(t);
  const { url } = await listen(t, (_, response) => response.writeHead(404).end('no'));
  for (const [wasm, retryable, words] of [
    [new Uint8Array(8), false, /could not be compiled/],
    [new Response('x'), false, /could not be compiled/],
    [url, true, new RegExp(`could not be loaded: ${url}/? answered 404`)],
    ['http://127.0.0.1:9/x', true, /could not be loaded: fetch failed/],
  ]) {
    await assert.rejects(init({ wasm }), (error) => unavailable(retryable)(error) && words.test(error.message) && !/policy|unsafe-eval/i.test(error.message), String(words));
  }
  assert.equal((await places.fetch('/')).status, 200);
});

test('after a trap the instance is thrown away, and made again from the module that is kept', async (t) => {
  const { world, places } = await page(t);
  await places.fetch('/');
  const compile = t.mock.method(WebAssembly, 'compile');
  const instantiate = t.mock.method(WebAssembly, 'instantiate');
  // The signer asks the URL for its text: an error there unwinds through WebAssembly as a trap does, with its state half changed.
  const href = Object.getOwnPropertyDescriptor(URL.prototype, 'href');
  let calls = 0;
  Object.defineProperty(URL.prototype, 'href', {
    ...href,
    get() {
      if (new Error().stack.includes('sdk-glue')) {
        calls += 1;
        if (calls === 1) throw new WebAssembly.RuntimeError('unreachable');
      }
      return href.get.call(this);
    },
  });
  t.after(() => Object.defineProperty(URL.prototype, 'href', href));
  assert.equal((await places.fetch('/')).status, 200, 'this call was repaired');
  assert.ok(calls >= 2);
  assert.equal(compile.mock.callCount(), 0);
  assert.equal(instantiate.mock.callCount(), 1);
  assert.equal(world.log.tool.length, 2, 'nothing was sent twice');
  assert.equal(world.log.token.length, 2, 'the key went with the instance, so there is a new token');
});
