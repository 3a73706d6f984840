// A backend with an API key of its own.
import { BmapError, createClient } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiKey } from './secret.mjs';
import { startWorld } from './world.mjs';

const { id: ID, secret } = apiKey();

test('the token request is signed, and the secret does not travel', async (t) => {
  const world = await startWorld(t);
  world.apiKey = apiKey();
  const client = createClient({ issuer: world.issuer, apiKey: { id: ID, secret }, scope: 'search route' });
  t.after(() => client.close());
  assert.equal((await client.tool('places').fetch('/v1/search?q=x')).status, 200);
  const [{ form, headers }] = world.log.token;
  assert.deepEqual(form, { grant_type: 'client_credentials', audience: 'places', scope: 'search route' });
  assert.equal(headers.authorization, undefined);
  assert.match(headers['signature-input'], new RegExp(`keyid="${ID}"`));
  assert.ok(!JSON.stringify(world.log.token).includes(secret.slice(4, 47)));
});

test('a backend whose clock is wrong learns the time from the refusal', async (t) => {
  const world = await startWorld(t, { skew: 3 * 3_600_000 });
  world.apiKey = apiKey();
  const client = createClient({ issuer: world.issuer, apiKey: { id: ID, secret } });
  t.after(() => client.close());
  assert.equal((await client.tool('places').fetch('/')).status, 200);
  assert.equal(world.log.token.length, 2);
});

test('a key that signs with Ed25519 presents its secret', async (t) => {
  const world = await startWorld(t);
  world.apiKey = apiKey();
  const client = createClient({ issuer: world.issuer, apiKey: { id: ID, secret, proof: 'secret' } });
  t.after(() => client.close());
  assert.equal((await client.tool('places').fetch('/')).status, 200);
  assert.equal(world.log.token[0].headers['signature-input'], undefined);
});

test('a damaged secret is refused here, and not repeated in the error', async (t) => {
  const world = await startWorld(t);
  for (const bad of ['', 'bms_x', secret.replace('Wl', 'Wk'), secret.slice(0, -1)]) {
    const client = createClient({ issuer: world.issuer, apiKey: { id: ID, secret: bad } });
    await assert.rejects(client.tool('places').fetch('/'), (error) => {
      assert.ok(error instanceof BmapError && error.code === 'bad_options');
      return !bad || !JSON.stringify([error.message, String(error.cause)]).includes(bad);
    });
  }
  assert.equal(world.log.token.length, 0);
});

test('the next token is asked for anew, before the old one ends', async (t) => {
  const world = await startWorld(t, { life: 2 });
  world.apiKey = apiKey();
  const client = createClient({ issuer: world.issuer, apiKey: { id: ID, secret } });
  t.after(() => client.close());
  const until = Date.now() + 3000;
  while (Date.now() < until) {
    assert.equal((await client.tool('places').fetch('/')).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(world.log.token.length >= 2 && world.log.token.every(({ form }) => form.grant_type === 'client_credentials'));
});
