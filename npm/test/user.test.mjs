import { BmapError, createClient } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from './world.mjs';

const code = (wanted) => (error) => error instanceof BmapError && error.code === wanted;
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('whoever is signed in calls a tool: the access token is asked for once, and renewals are signed', async (t) => {
  const world = await startWorld(t, { life: 2 });
  let asked = 0;
  world.users.add('head.payload.signature');
  const accessToken = async () => (asked++, 'head.payload.signature');
  const client = createClient({ issuer: world.issuer, clientId: world.clientId, accessToken });
  t.after(() => client.close());
  const until = Date.now() + 4000;
  while (Date.now() < until) {
    assert.equal((await client.tool('places').fetch('/')).status, 200);
    await sleep(25);
  }
  assert.equal(asked, 1);
  const [first, ...renewals] = world.log.token;
  assert.deepEqual(first.form, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'head.payload.signature',
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience: 'places',
    client_id: world.clientId,
  });
  assert.equal(first.headers.authorization, undefined, 'the access token is in the form alone');
  assert.ok(renewals.length >= 1 && renewals.every(({ form, headers }) => headers.signature && form.client_id === undefined));
});

test('a session that ended leads to a new access token, and one that is refused to an error', async (t) => {
  const world = await startWorld(t, { life: 1 });
  const texts = ['a.a.a', 'b.b.b', 'c.c.c'];
  world.users.add('a.a.a').add('b.b.b');
  const client = createClient({ issuer: world.issuer, clientId: world.clientId, accessToken: () => texts.shift() });
  t.after(() => client.close());
  const places = client.tool('places');
  await places.fetch('/');
  await sleep(1200);
  assert.equal((await places.fetch('/')).status, 200);
  assert.deepEqual(world.log.token.map(({ form }) => form.subject_token), ['a.a.a', 'b.b.b']);
  await sleep(1200);
  await assert.rejects(places.fetch('/'), code('invalid_token'));
});

test('what is no access token is not sent, and options that do not go together are refused', async (t) => {
  const world = await startWorld(t);
  const { issuer, clientId } = world;
  for (const accessToken of [() => undefined, () => '<html>', () => ({ access_token: 'a.b.c' }), () => 'a.b', () => Promise.reject(new Error('x'))]) {
    const client = createClient({ issuer, clientId, accessToken });
    await assert.rejects(client.tool('places').fetch('/'), code('access_token_failed'));
  }
  assert.equal(world.log.token.length, 0);
  const accessToken = () => 'a.b.c';
  for (const options of [{ accessToken }, { accessToken, clientId: 'shop' }, { accessToken, clientId, ticket: () => '' }, { accessToken, clientId, apiKey: { id: '', secret: '' } }, { clientId }]) {
    assert.throws(() => createClient({ issuer, ...options }), code('bad_options'));
  }
});
