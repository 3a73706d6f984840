// What is sent again, what is not, what waits, and what the errors say.
import { BmapError, createClient, problemOf } from '@bmap/auth';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiKey } from './secret.mjs';
import { listen, startWorld } from './world.mjs';

async function page(t, options = {}) {
  const world = await startWorld(t);
  let tickets = 0;
  const client = createClient({ issuer: world.issuer, ticket: () => (tickets++, world.ticket()), ...options });
  t.after(() => client.close());
  return { world, client, places: client.tool('places'), tickets: () => tickets };
}

const nonceOf = ({ headers }) => /nonce="([^"]+)"/.exec(headers['signature-input'])[1];
const urn = (code) => ({ type: `urn:bmap:problem:${code}` });

test('u01 a GET that the browser sent twice is signed again once; of a POST the error says that it may have been executed', async (t) => {
  const { world, places } = await page(t);
  const twice = { status: 401, code: 'replayed' };
  for (const method of ['GET', 'HEAD']) {
    world.log.tool.length = 0;
    world.toolRefuses.push(twice);
    assert.equal((await places.fetch('/', { method })).status, 200, method);
    assert.equal(new Set(world.log.tool.map(nonceOf)).size, 2);
    world.toolRefuses.push(twice, twice);
    assert.equal((await places.fetch('/', { method })).status, 401, 'a second one is the answer');
    assert.equal(world.log.tool.length, 4);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    world.log.tool.length = 0;
    world.toolRefuses.push(twice);
    await assert.rejects(places.fetch('/', { method, body: 'x' }), (error) => {
      assert.ok(error instanceof BmapError && error.code === 'replayed' && /may have been executed/.test(error.message));
      assert.deepEqual([error.status, error.requestId, error.retryable], [401, 'req-1', false]);
      return true;
    });
    assert.equal(world.log.tool.length, 1, `${method} was sent once`);
  }
});

test('a repair works whatever form the refusal has', async (t) => {
  const { world, places } = await page(t);
  await places.fetch('/');
  const plain = { 'www-authenticate': 'Bearer' };
  for (const [what, refusal] of [
    ['no challenge', { headers: plain, body: urn('clock_skew') }],
    ['another type of JSON', { headers: { ...plain, 'content-type': 'Application/JSON; charset=utf-8' }, body: urn('clock_skew') }],
    ['several challenges', { headers: { 'www-authenticate': 'Basic realm="a, b", HTTPSig error="clock_skew"', 'content-type': 'text/plain' } }],
  ]) {
    world.log.tool.length = 0;
    world.toolRefuses.push({ status: 401, code: 'clock_skew', ...refusal });
    assert.equal((await places.fetch('/')).status, 200, what);
    assert.equal(world.log.tool.length, 2);
  }
  world.log.tool.length = 0;
  world.toolRefuses.push({ status: 401, code: 'token_expired', headers: plain });
  assert.equal((await places.fetch('/', { method: 'POST', body: 'x' })).status, 401, "a tool's own problem is the tool's");
  assert.equal(world.log.tool.length, 1);
});

test('a HEAD has no body to say a code or the time, and is repaired all the same', async (t) => {
  const { world, places, tickets } = await page(t);
  await places.fetch('/');
  world.skew = 7_200_000;
  assert.equal((await places.fetch('/', { method: 'HEAD' })).status, 200);
  assert.ok(tickets() <= 2, "the time is a token's");
  world.toolRefuses.push({ status: 503, code: 'replay_store_unavailable', headers: { 'retry-after': '1' } });
  assert.equal((await places.fetch('/', { method: 'HEAD' })).status, 200);
});

/** The parts of a page that end a back-off, and its clock. */
function device(t) {
  let ticks = performance.now();
  const events = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const kept = ['addEventListener', 'removeEventListener', 'document'].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  Object.assign(globalThis, { addEventListener: events.addEventListener.bind(events), removeEventListener: events.removeEventListener.bind(events), document });
  t.after(() => kept.forEach(([name, is]) => (is ? Object.defineProperty(globalThis, name, is) : delete globalThis[name])));
  const set = globalThis.setTimeout;
  t.mock.method(performance, 'now', () => ticks);
  // Its pauses are over at once, and the clock has moved by them.
  t.mock.method(globalThis, 'setTimeout', (run, milliseconds, ...more) => {
    if (run.name || !(milliseconds >= 400)) return set(run, milliseconds, ...more);
    ticks += milliseconds;
    return setImmediate(run);
  });
  t.mock.method(globalThis, 'clearTimeout', ((clear) => (timer) => (timer?.constructor?.name === 'Immediate' ? undefined : clear(timer)))(clearTimeout));
  return { pass: (milliseconds) => (ticks += milliseconds), now: () => ticks, events, document };
}

test('u08 a hundred calls while tickets fail are one attempt, then back-off from half a second to a minute', async (t) => {
  let attempts = 0;
  let works = false;
  const clock = device(t);
  const { places, world } = await page(t, { ticket: () => (attempts++, works ? world.ticket() : Promise.reject(new Error('502'))) });
  const burst = async () => {
    const calls = await Promise.allSettled(Array.from({ length: 100 }, () => places.fetch('/')));
    assert.ok(calls.every(({ reason }) => reason instanceof BmapError && reason.code === 'ticket_failed' && reason.retryable));
    return calls[0].reason;
  };
  assert.equal((await burst()).retryAfter, undefined);
  assert.equal(attempts, 1);
  // The first waits are shorter than a second and are waited for; then calls fail at once with how long it will take.
  const waits = [];
  for (let attempt = 2; attempt < 14; attempt++) {
    const from = clock.now();
    while (attempts < attempt) {
      const { retryAfter } = await burst();
      assert.ok(retryAfter === undefined || (retryAfter >= 1 && retryAfter <= 60), String(retryAfter));
    }
    waits.push(clock.now() - from);
  }
  waits.forEach((wait, n) => assert.ok(wait >= Math.min(500 * 2 ** n, 60_000) - 1 && wait <= Math.min(1000 * 2 ** n, 60_000) + 1001, `${n}: ${wait}`));
  assert.ok(waits.at(-1) >= 60_000 - 1);
  works = true;
  clock.events.dispatchEvent(new Event('online'));
  assert.equal((await places.fetch('/')).status, 200, 'online again');
  assert.equal(attempts, 14);
});

test('u08 a page that is looked at again tries at once, and one that is hidden does not', async (t) => {
  let attempts = 0;
  const clock = device(t);
  const { places } = await page(t, { ticket: () => (attempts++, Promise.reject(new Error('502'))) });
  const call = () => places.fetch('/').catch(() => {});
  while (attempts < 5) await call();
  const turn = async (state) => {
    clock.document.visibilityState = state;
    clock.document.dispatchEvent(new Event('visibilitychange'));
    await call();
    return attempts;
  };
  assert.equal(await turn('hidden'), 5);
  assert.equal(await turn('visible'), 6);
  assert.equal(await turn('hidden'), 6);
  clock.pass(60_000);
  await call();
  assert.equal(attempts, 7);
});

test('u08 the issuer’s Retry-After is kept to, and a refusal that no time changes is told each time', async (t) => {
  const clock = device(t);
  const { places, world } = await page(t);
  world.issuerRefuses.push({ status: 429, code: 'rate_limited', headers: { 'retry-after': '30' }, body: { retryable: true } });
  await assert.rejects(places.fetch('/'), (error) => error.code === 'rate_limited' && error.retryAfter === 30);
  clock.pass(20_000);
  await assert.rejects(places.fetch('/'), (error) => error.code === 'rate_limited' && error.status === 429 && error.retryAfter <= 10 && error.retryAfter >= 9);
  assert.equal(world.log.token.length, 1);
  clock.pass(10_000);
  assert.equal((await places.fetch('/')).status, 200);
  const { places: other, world: second } = await page(t);
  second.issuerRefuses.push({ status: 403, code: 'origin_denied' });
  await assert.rejects(other.fetch('/'), (error) => error.code === 'origin_denied' && !error.retryable);
  assert.equal((await other.fetch('/')).status, 200);
});

test('u12 an address that can not be signed names its rule', async (t) => {
  const { world, places } = await page(t);
  for (const [address, words] of [
    [`/?q=${'x'.repeat(9000)}`, /its query has 9002 bytes, and 8192 is the most/],
    [`/${'x'.repeat(9000)}`, /its path has 9001 bytes, and 8192/],
    ['/100%', /broken escape/],
    ['/%zz/x', /broken escape/],
    ['/a%2Fb', /encoded dot, slash, backslash or NUL/],
    ['/a%00', /encoded dot, slash, backslash or NUL/],
    ['/a//b', /empty segment/],
  ]) {
    await assert.rejects(places.fetch(address), (error) => error.code === 'bad_url' && words.test(error.message) && !error.retryable, address.slice(0, 20));
  }
  assert.equal(world.log.tool.length, 0);
  assert.equal((await places.fetch(`/?${'x'.repeat(8192)}`)).status, 200);
});

test('no redirect is followed with a credential, whoever answers with one', async (t) => {
  const { world, places } = await page(t);
  const stolen = [];
  const { url } = await listen(t, (request, response) => (stolen.push(request.headers), response.end('{}')));
  const issuer = await listen(t, (_, response) => response.writeHead(307, { location: `${url}/oauth/token` }).end());
  const client = createClient({ issuer: issuer.url, ticket: () => world.ticket() });
  await assert.rejects(client.tool('places').fetch('/'), (error) => error.code === 'redirect_refused' && /issuer/.test(error.message));
  assert.equal(stolen.length, 0);
  // A wrapper that follows by itself all the same: what comes back from there is not taken for an answer.
  const follows = createClient({ issuer: issuer.url, ticket: () => world.ticket(), fetch: (address, init) => fetch(address, { ...init, redirect: 'follow' }) });
  await assert.rejects(follows.tool('places').fetch('/'), (error) => error.code === 'redirect_refused');
  world.handler = (request, response) => (request.url === '/' ? response.writeHead(302, { location: '/next' }).end() : response.end());
  await assert.rejects(places.fetch('/'), (error) => error.code === 'redirect_refused');
});

test('errors name what is to be done', async (t) => {
  const { world, places } = await page(t);
  world.issuerRefuses.push({ status: 403, code: 'origin_denied' });
  await assert.rejects(places.fetch('/'), /sent no Origin or one that the API key, the tool or the ticket does not name/);
  globalThis.location = { origin: 'https://page.example' };
  t.after(() => delete globalThis.location);
  world.issuerRefuses.push({ status: 403, code: 'origin_denied' });
  await assert.rejects(places.fetch('/'), /https:\/\/page\.example .*--origin https:\/\/page\.example/);
  globalThis.location = { origin: 'null' };
  world.issuerRefuses.push({ status: 403, code: 'origin_denied' });
  await assert.rejects(places.fetch('/'), /sandboxed/);
  await assert.rejects(places.fetch('/', { integrity: 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' }), (error) => error.code === 'integrity_failed' && !error.retryable);
});

test('an error has the field and the hint of the refusal', async (t) => {
  const { world, places } = await page(t);
  world.issuerRefuses.push({ status: 400, code: 'malformed_request', body: { field: 'audience', hint: "a tool's id" } });
  await assert.rejects(places.fetch('/'), (error) => {
    assert.ok(error instanceof BmapError);
    assert.deepEqual([error.code, error.field, error.hint], ['malformed_request', 'audience', "a tool's id"]);
    return true;
  });
  world.issuerRefuses.push({ status: 403, code: 'user_inactive', body: { field: 7, hint: null } });
  await assert.rejects(places.fetch('/'), (error) => error.code === 'user_inactive' && error.field === undefined && error.hint === undefined);
  world.toolRefuses.push({ status: 409, code: 'invalid_state', body: { hint: 'it is closed' } });
  assert.equal((await problemOf(await places.fetch('/'))).hint, 'it is closed');
});

test('an issuer by another name than its own is said so', async (t) => {
  const world = await startWorld(t);
  world.apiKey = apiKey();
  const issuer = await listen(t, (request, response) => {
    if (request.url === '/.well-known/oauth-authorization-server') return response.end(JSON.stringify({ issuer: 'https://auth.example' }));
    if (request.url === '/.well-known/oauth-authorization-server/tenant') return response.end(JSON.stringify({ issuer: 'https://auth.example/tenant' }));
    response.writeHead(401, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ code: 'invalid_signature', title: 'no', status: 401 }));
  });
  const client = createClient({ issuer: issuer.url, apiKey: { id: world.apiKey.id, secret: world.apiKey.secret } });
  await assert.rejects(client.tool('places').fetch('/'), (error) => error.code === 'bad_options' && error.message.includes('https://auth.example') && error.message.includes(issuer.url));
  const beneath = createClient({ issuer: `${issuer.url}/tenant/`, apiKey: { id: world.apiKey.id, secret: world.apiKey.secret } });
  await assert.rejects(beneath.tool('places').fetch('/'), (error) => error.code === 'bad_options' && error.message.includes('https://auth.example/tenant,'));
  world.issuerRefuses.push({ status: 401, code: 'invalid_signature' });
  const right = createClient({ issuer: world.issuer, apiKey: { id: world.apiKey.id, secret: world.apiKey.secret } });
  await assert.rejects(right.tool('places').fetch('/'), (error) => error.code === 'invalid_signature');
});

test('a refusal says when to try again', async (t) => {
  const { world, places } = await page(t);
  world.toolRefuses.push({ status: 429, code: 'rate_limited', headers: { 'retry-after': '7' } });
  assert.equal((await problemOf(await places.fetch('/'))).retryAfter, 7);
});
