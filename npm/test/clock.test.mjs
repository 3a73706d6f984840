import { createClient } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from './world.mjs';

const HOURS = 3_600_000;

async function page(t, options) {
  const world = await startWorld(t, options);
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket() });
  t.after(() => client.close());
  return { world, places: client.tool('places') };
}

for (const [where, skew] of [['behind', 3 * HOURS], ['ahead', -3 * HOURS]]) {
  test(`a page whose clock is 3 hours ${where} works without a repair`, async (t) => {
    const { world, places } = await page(t, { skew });
    assert.equal((await places.fetch('/')).status, 200);
    assert.deepEqual(world.log.tool.map((entry) => entry.fault), [undefined]);
  });
}

test('a page clock that is set while the page runs changes nothing', async (t) => {
  const { world, places } = await page(t);
  await places.fetch('/');
  const real = Date.now;
  t.after(() => (Date.now = real));
  world.now = () => real();
  Date.now = () => real() + 5 * HOURS;
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(world.log.tool.at(-1).fault, undefined);
});

test('a clock that stood still while the machine slept is repaired by one refusal', async (t) => {
  const { world, places } = await page(t);
  await places.fetch('/');
  world.skew = 120_000; // the servers' time went on
  assert.equal((await places.fetch('/', { method: 'POST', body: 'x' })).status, 200);
  assert.deepEqual(world.log.tool.map((entry) => entry.fault), [undefined, 'clock_skew', undefined]);
  assert.notEqual(world.log.tool[1].headers['signature-input'], world.log.tool[2].headers['signature-input']);
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(world.log.tool.length, 4, 'what was learnt is kept');
});

test('a sleep beyond the end of the token is repaired too', async (t) => {
  const { world, places } = await page(t, { life: 60 });
  await places.fetch('/');
  world.skew = 10 * 60_000;
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(world.log.token.length, 2);
});

test('a clock_skew that asks for a second gets it', async (t) => {
  const { world, places } = await page(t);
  world.toolRefuses.push({ status: 401, code: 'clock_skew', headers: { 'retry-after': '1' } });
  const start = Date.now();
  assert.equal((await places.fetch('/')).status, 200);
  assert.ok(Date.now() - start >= 990);
});

test('a longer wait is left to the caller, and two refusals are enough', async (t) => {
  const { world, places } = await page(t);
  world.toolRefuses.push({ status: 401, code: 'clock_skew', headers: { 'retry-after': '3' } });
  assert.equal((await places.fetch('/')).status, 401);
  world.toolRefuses.push({ status: 401, code: 'clock_skew' }, { status: 401, code: 'clock_skew' });
  assert.equal((await places.fetch('/')).status, 401);
  assert.equal(world.log.tool.length, 3);
});

test('other refusals are not repeated', async (t) => {
  const { world, places } = await page(t);
  for (const [status, code] of [[401, 'invalid_signature'], [401, 'digest_mismatch'], [403, 'ip_denied'], [429, 'rate_limited'], [503, 'overloaded']]) {
    const before = world.log.tool.length;
    world.toolRefuses.push({ status, code });
    assert.equal((await places.fetch('/')).status, status);
    assert.equal(world.log.tool.length, before + 1, code);
  }
});
