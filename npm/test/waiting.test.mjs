// A replay store that can't tell yet (profile §5, "After a restart"): the package waits, and signs again. No test here sleeps.
import { BmapError, createClient, problemOf } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiKey } from './secret.mjs';
import { startWorld } from './world.mjs';

const ALLOWANCE = 10_000;

/** Puts the timers of `pause` under the test's hand: each is noted and, unless `hold`, over at once. Others are left alone. */
function timers(t, { hold = false } = {}) {
  const waits = [];
  const cleared = [];
  const [set, clear] = [globalThis.setTimeout, globalThis.clearTimeout];
  t.mock.method(globalThis, 'setTimeout', (run, milliseconds, ...more) => {
    // Node's own fetch has timers too; theirs run functions with a name, and `pause` runs a promise's `resolve`.
    if (run.name || milliseconds < 1000) return set(run, milliseconds, ...more);
    const timer = { wait: waits.push(milliseconds) };
    if (!hold) setImmediate(run);
    return timer;
  });
  t.mock.method(globalThis, 'clearTimeout', (timer) => (timer?.wait ? cleared.push(timer.wait) : clear(timer)));
  return { waits, cleared };
}

async function page(t, options = {}) {
  const world = await startWorld(t);
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket() });
  t.after(() => client.close());
  const places = client.tool('places');
  await places.fetch('/first'); // token and WebAssembly are there from here on
  world.log.tool.length = 0;
  return { world, client, places, ...timers(t, options) };
}

const unavailable = (after, more = {}) => ({
  status: 503,
  code: 'replay_store_unavailable',
  headers: after === undefined ? {} : { 'retry-after': String(after) },
  body: { retryable: true },
  ...more,
});
const nonceOf = ({ headers }) => /nonce="([^"]+)"/.exec(headers['signature-input'])[1];
const turns = (count, make) => Array.from({ length: count }, make);

test('f08 a restarted tool asks for six seconds: the page waits that long and a little more, and signs again', async (t) => {
  for (const [random, wait] of [[0, 6000], [0.999999, 7500]]) {
    await t.test(`chance ${random}`, async (t) => {
      const { world, places, waits } = await page(t);
      t.mock.method(Math, 'random', () => random);
      world.toolRefuses.push(unavailable(6));
      const response = await places.fetch('/v1/x', { method: 'POST', body: 'whole' });
      assert.equal(response.status, 200);
      assert.deepEqual(waits.map((each) => Math.ceil(each)), [wait]);
      assert.deepEqual(world.log.tool.map(({ body, fault }) => [body.toString(), fault]), [['whole', undefined], ['whole', undefined]]);
      assert.notEqual(nonceOf(world.log.tool[0]), nonceOf(world.log.tool[1]));
    });
  }
});

test('every kind of body is sent again as it was', async (t) => {
  const { world, places } = await page(t);
  const stream = () => new Blob(['stre', 'am']).stream();
  for (const [input, init, sent] of [
    ['/', { method: 'PUT', body: stream(), duplex: 'half' }, 'stream'],
    [new Request(`${world.tool}/r`, { method: 'POST', body: 'request' }), undefined, 'request'],
    [new Request(`${world.tool}/r`, { method: 'POST', body: stream(), duplex: 'half' }), undefined, 'stream'],
    ['/', { method: 'POST', body: new Blob(['blob']) }, 'blob'],
    ['/', { method: 'POST', body: '' }, ''],
  ]) {
    world.toolRefuses.push(unavailable(1));
    assert.equal((await places.fetch(input, init)).status, 200, sent);
    assert.deepEqual(world.log.tool.splice(0).map(({ body }) => body.toString()), [sent, sent]);
  }
});

test('waiting and the one repair of the clock are apart', async (t) => {
  const { world, places } = await page(t);
  const skew = { status: 401, code: 'clock_skew' };
  world.toolRefuses.push(unavailable(1), skew, unavailable(1));
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(world.log.tool.length, 4);
  world.toolRefuses.push(skew, unavailable(1), skew);
  assert.equal((await places.fetch('/')).status, 401, 'the second clock_skew is the answer');
  assert.equal(world.log.tool.length, 7);
});

test('what is learnt of the clock by the refusal counts for the next signature', async (t) => {
  const { world, places } = await page(t);
  world.skew = 120_000;
  world.toolRefuses.push(unavailable(1));
  assert.equal((await places.fetch('/')).status, 200);
  assert.deepEqual(world.log.tool.map(({ fault }) => fault), ['clock_skew', undefined]);
});

test('a store that stays away: four requests, ten seconds at most, and the refusal is the answer', async (t) => {
  for (const random of [0, 0.5, 0.999999]) {
    await t.test(`chance ${random}`, async (t) => {
      const { world, places, waits } = await page(t);
      t.mock.method(Math, 'random', () => random);
      world.toolRefuses.push(...turns(20, () => unavailable(1)));
      const response = await places.fetch('/', { method: 'POST', body: 'x' });
      assert.equal(response.status, 503);
      const problem = await problemOf(response);
      assert.deepEqual([problem.code, problem.retryable], ['replay_store_unavailable', true]);
      assert.equal(world.log.tool.length, 4);
      assert.ok(waits[1] >= 2 * 1000 && waits[2] >= 4 * 1000, 'each wait is longer than the one before');
      assert.ok(waits.reduce((sum, wait) => sum + wait, 0) <= ALLOWANCE);
      assert.equal(new Set(world.log.tool.map(nonceOf)).size, 4);
    });
  }
});

test('an allowance is one call’s: the next call has its own', async (t) => {
  const { world, places, waits } = await page(t);
  t.mock.method(Math, 'random', () => 0);
  world.toolRefuses.push(unavailable(9));
  assert.equal((await places.fetch('/')).status, 200);
  world.toolRefuses.push(unavailable(9), unavailable(2));
  assert.equal((await places.fetch('/')).status, 503, 'nine of ten seconds are spent');
  assert.deepEqual(waits, [9000, 9000]);
});

test('without a time, or with one that is absurd, nothing is repeated', async (t) => {
  const { world, places, waits } = await page(t);
  for (const after of [undefined, '', '-1', '1.5', 'soon', '1e0', '0x1', '11', '3600', '99999999999999999999', 'Wed, 21 Oct 2026 07:28:00 GMT']) {
    world.toolRefuses.push(unavailable(after));
    const response = await places.fetch('/');
    assert.equal(response.status, 503, String(after));
    assert.equal((await problemOf(response)).retryable, true);
  }
  assert.equal(world.log.tool.length, 11);
  assert.deepEqual(waits, []);
  world.toolRefuses.push(unavailable(0));
  assert.equal((await places.fetch('/')).status, 200);
  assert.ok(waits[0] >= 1000, 'a second at least, also where none is asked for');
});

test('an abort ends the wait at once, and nothing is left of it', async (t) => {
  const { world, places, waits, cleared } = await page(t, { hold: true });
  const abort = new AbortController();
  world.toolRefuses.push(unavailable(5));
  const call = places.fetch('/', { signal: abort.signal });
  while (!waits.length) await new Promise(setImmediate);
  abort.abort();
  await assert.rejects(call, { name: 'AbortError' });
  assert.deepEqual(cleared, [1]);
  assert.equal(world.log.tool.length, 1);
});

test('a client that is closed during the wait sends nothing more', async (t) => {
  const { world, client, places } = await page(t);
  world.toolRefuses.push(unavailable(1));
  const call = places.fetch('/');
  while (!world.log.tool.length) await new Promise(setImmediate);
  client.close();
  await assert.rejects(call, (error) => error instanceof BmapError && error.code === 'closed');
  assert.equal(world.log.tool.length, 1);
});

test('no other 503, and no body_timeout, is repeated', async (t) => {
  const { world, places, waits } = await page(t);
  for (const [status, code] of [[503, 'overloaded'], [503, 'issuer_unavailable'], [503, 'clock_unreliable'], [408, 'body_timeout'], [429, 'rate_limited']]) {
    world.toolRefuses.push({ status, code, headers: { 'retry-after': '1' }, body: { retryable: true } });
    const response = await places.fetch('/', { method: 'POST', body: 'x' });
    assert.equal(response.status, status, code);
    assert.deepEqual([(await problemOf(response)).code, (await problemOf(response)).retryable], [code, true]);
  }
  world.handler = (_, response) => response.writeHead(503, { 'retry-after': '1' }).end("the tool's own");
  assert.equal((await places.fetch('/')).status, 503);
  assert.equal(world.log.tool.length, 6);
  assert.deepEqual(waits, []);
});

test('the issuer after a restart: a signed token request is signed again', async (t) => {
  const world = await startWorld(t);
  world.apiKey = apiKey();
  const { waits } = timers(t);
  t.mock.method(Math, 'random', () => 0);
  const client = createClient({ issuer: world.issuer, apiKey: { id: world.apiKey.id, secret: world.apiKey.secret } });
  t.after(() => client.close());
  const places = client.tool('places');
  world.issuerRefuses.push(unavailable(6), ...turns(9, () => unavailable(1)));
  await assert.rejects(places.fetch('/'), (error) => error.code === 'replay_store_unavailable' && error.status === 503 && error.retryable);
  assert.deepEqual(waits, [6000, 2000]);
  world.issuerRefuses = [unavailable(6)];
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(new Set(world.log.token.map(nonceOf)).size, 5, 'each was signed by itself');
});

test('a ticket is not shown twice', async (t) => {
  const world = await startWorld(t);
  const { waits } = timers(t);
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket() });
  t.after(() => client.close());
  world.issuerRefuses.push(unavailable(1));
  await assert.rejects(client.tool('places').fetch('/'), (error) => error.code === 'replay_store_unavailable' && error.retryable);
  assert.deepEqual([world.log.token.length, waits], [1, []]);
});
