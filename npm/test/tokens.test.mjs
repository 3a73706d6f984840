import { BmapError, createClient } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from './world.mjs';

async function page(t, options = {}, more = {}) {
  const world = await startWorld(t, options);
  let tickets = 0;
  const client = createClient({ issuer: world.issuer, ticket: () => (tickets++, world.ticket()), ...more });
  t.after(() => client.close());
  return { world, client, places: client.tool('places'), tickets: () => tickets };
}

const code = (wanted) => (error) => error instanceof BmapError && error.code === wanted;
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const ofKind = (world, kind) => world.log.token.filter((entry) => entry.form.subject_token_type?.endsWith(kind)).length;

test('nothing is sent before the first request, and parallel callers share one flight', async (t) => {
  const { world, client, places, tickets } = await page(t);
  await sleep(20);
  assert.equal(world.log.token.length, 0);
  await Promise.all(Array.from({ length: 20 }, () => places.fetch('/')));
  assert.equal(world.log.token.length, 1);
  assert.equal(tickets(), 1);
  await client.tool('places').fetch('/');
  assert.equal(world.log.token.length, 1, 'the same tool, the same token');
  await client.tool('routes').fetch('/');
  assert.equal(world.log.token.at(-1).form.audience, 'routes', 'another tool, another token');
});

test('a token is renewed before it ends, with a signed request and without a new ticket', async (t) => {
  const { world, places, tickets } = await page(t, { life: 2 });
  const until = Date.now() + 5000;
  while (Date.now() < until) {
    assert.equal((await places.fetch('/')).status, 200);
    await sleep(25);
  }
  assert.ok(world.log.tool.every((entry) => entry.fault === undefined), 'no request was refused on the way');
  assert.equal(tickets(), 1);
  const renewals = ofKind(world, 'access_token');
  assert.ok(renewals >= 2 && renewals <= 5, `${renewals} renewals in 5 s of tokens that live 2 s`);
});

test('a page that slept over the end of its token starts a new session', async (t) => {
  const { world, places, tickets } = await page(t, { life: 1 });
  await places.fetch('/');
  await sleep(1200);
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(tickets(), 2);
  assert.equal(ofKind(world, 'access_token'), 0, 'an ended token is not shown again');
});

test('a renewal that is refused because the session is over leads to a new ticket', async (t) => {
  for (const refusal of ['invalid_grant', 'invalid_token', 'token_expired', 'token_revoked', 'invalid_signature']) {
    const { world, places, tickets } = await page(t, { life: 2 });
    await places.fetch('/');
    await sleep(1600); // in the last quarter
    world.issuerRefuses.push({ status: 401, code: refusal });
    await places.fetch('/'); // starts the renewal
    await sleep(100);
    assert.equal(tickets(), 2, refusal);
    assert.equal((await places.fetch('/')).status, 200);
    assert.notEqual(world.log.tool.at(-1).token, world.log.tool[0].token);
  }
});

test('a renewal that is refused because the user is inactive does not, and the code comes through', async (t) => {
  const { world, places, tickets } = await page(t, { life: 2 });
  await places.fetch('/');
  await sleep(1600);
  world.issuerRefuses.push({ status: 403, code: 'user_inactive' });
  assert.equal((await places.fetch('/')).status, 200, 'the token works to its end');
  await sleep(100);
  assert.equal(tickets(), 1);
  await sleep(600);
  world.issuerRefuses.push({ status: 403, code: 'user_inactive' });
  await assert.rejects(places.fetch('/'), (error) => code('user_inactive')(error) && error.status === 403 && error.requestId === 'req-1');
});

test('an issuer that is away during a renewal does not disturb the token that works', async (t) => {
  const { world, places } = await page(t, { life: 4 });
  await places.fetch('/');
  await sleep(3100);
  for (let i = 0; i < 10; i++) world.issuerRefuses.push({ status: 503, code: 'overloaded' });
  for (let i = 0; i < 10; i++) assert.equal((await places.fetch('/')).status, 200);
  await sleep(50);
  assert.equal(world.log.token.length, 2, 'and it is asked once, not at each request');
});

test('a token that the tool calls expired is renewed and the request repeated, once', async (t) => {
  const { world, places, tickets } = await page(t);
  await places.fetch('/');
  world.toolRefuses.push({ status: 401, code: 'token_expired' });
  assert.equal((await places.fetch('/', { method: 'POST', body: 'once' })).status, 200);
  assert.deepEqual([world.log.tool.length, tickets()], [3, 2]);
  assert.notEqual(world.log.tool[2].token, world.log.tool[1].token);
  world.toolRefuses.push({ status: 401, code: 'token_expired' }, { status: 401, code: 'token_expired' });
  assert.equal((await places.fetch('/')).status, 401, 'a second refusal is the answer');
  assert.equal(world.log.tool.length, 5);
});

test('a revoked token is not used again, and its refusal is the answer', async (t) => {
  const { world, places, tickets } = await page(t);
  await places.fetch('/');
  world.toolRefuses.push({ status: 403, code: 'token_revoked' });
  assert.equal((await places.fetch('/')).status, 403);
  assert.equal((await places.fetch('/')).status, 200);
  assert.equal(tickets(), 2);
});

test('a failed first token is not remembered', async (t) => {
  const { world, places } = await page(t);
  world.issuerRefuses.push({ status: 403, code: 'origin_denied' });
  await assert.rejects(places.fetch('/'), code('origin_denied'));
  assert.equal((await places.fetch('/')).status, 200);
});

test('what the ticket callback gives is looked at before it is sent', async (t) => {
  const world = await startWorld(t);
  const from = (ticket) => createClient({ issuer: world.issuer, ticket }).tool('places').fetch('/');
  for (const bad of [() => '<html>502</html>', () => undefined, () => 42, () => ({}), () => 'bmt_short', () => { throw new Error('x'); }, async () => Promise.reject(new Error('y'))]) {
    await assert.rejects(from(bad), (error) => code('ticket_failed')(error) && error.retryable);
  }
  assert.equal(world.log.token.length, 0);
  assert.equal((await from(() => `${world.ticket()}\n`)).status, 200);
  assert.equal((await from(async () => ({ ticket: world.ticket(), expires_in: 120 }))).status, 200);
  let asked;
  await from((tool) => ((asked = tool), world.ticket()));
  assert.equal(asked, 'places');
});

test('an answer that is no token is not taken for one', async (t) => {
  const { world, places } = await page(t);
  for (const answer of [
    { token_type: 'Bearer' },
    { access_token: undefined },
    { signing_key: 'c2hvcnQ' },
    { signing_key: '***' },
    { expires_in: 0 },
    { expires_in: '300' },
    { server_time: undefined },
    { tool: {} },
    { tool: { base_url: 'nowhere' } },
    { access_token: 'a\nb' },
  ]) {
    world.answer = answer;
    await assert.rejects(places.fetch('/'), code('bad_answer'), JSON.stringify(answer));
  }
  assert.equal(world.log.tool.length, 0);
});

test('an issuer that is gone is a network error', async (t) => {
  const world = await startWorld(t);
  const client = createClient({ issuer: 'http://127.0.0.1:9', ticket: () => world.ticket() });
  await assert.rejects(client.tool('places').fetch('/'), (error) => code('network')(error) && error.retryable);
});

test('close ends it', async (t) => {
  const { world, client, places } = await page(t);
  await places.fetch('/');
  client.close();
  await assert.rejects(places.fetch('/'), code('closed'));
  assert.throws(() => client.tool('places'), code('closed'));
  assert.equal(world.log.tool.length, 1);
  assert.equal(client[Symbol.dispose], client.close);
});

test('options that can not work are refused at once', () => {
  const ticket = () => '';
  for (const options of [
    { issuer: 'auth.example', ticket },
    { issuer: 'http://auth.example', ticket },
    { issuer: 'ftp://127.0.0.1', ticket },
    { issuer: 'https://auth.example' },
    { issuer: 'https://auth.example', ticket, apiKey: { id: 'a', secret: 'b' } },
  ]) {
    assert.throws(() => createClient(options), code('bad_options'), JSON.stringify(options));
  }
  const client = createClient({ issuer: 'http://localhost:4000', ticket });
  for (const id of ['', 'Places', 'a/b', 'a'.repeat(33)]) assert.throws(() => client.tool(id), code('bad_options'));
});

test('u09 an issuer with a path is asked beneath it, with a slash at its end or without', async (t) => {
  for (const issuer of ['https://host.example/auth', 'https://host.example/auth/', new URL('https://host.example/auth/eu/')]) {
    const asked = [];
    const fetch = async (input) => {
      asked.push(input instanceof Request ? input.url : String(input));
      return new Response('{}', { status: 400, headers: { 'content-type': 'application/json' } });
    };
    const client = createClient({ issuer, ticket: () => `bmt_${'A'.repeat(43)}`, fetch });
    t.after(() => client.close());
    await assert.rejects(client.tool('places').fetch('/'));
    assert.equal(asked[0], `${String(issuer).replace(/\/$/, '')}/oauth/token`);
  }
});
