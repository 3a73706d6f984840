// The widget in Chromium, page and tool on different origins: it works, and every way to cheat is refused before the tool's code.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hold, launch, nearby, search, sendFrom, verdicts, visit } from './lib/browser.mjs';
import { startStack } from './lib/stack.mjs';

const SOFIA = JSON.stringify({ lat: 42.69751, lon: 23.32415, limit: 3 });
const PARIS = JSON.stringify({ lat: 48.85341, lon: 2.3488, limit: 3 });

let stack;
let browser;
let page;

before(async () => {
  stack = await startStack();
  browser = await launch();
  page = await visit(browser, stack.page.url);
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

/** Sends a spoiled request and proves that it was refused with this code and that no handler was entered. */
async function refused(spoiled, status, code, from = page) {
  const before = await stack.tool.entered();
  assert.deepEqual(await sendFrom(from, spoiled), { status, code });
  assert.equal(await stack.tool.entered(), before, 'the handler was entered');
}

test('search and nearby work across origins', async () => {
  assert.notEqual(new URL(stack.page.url).origin, new URL(stack.tool.url).origin);
  const before = await stack.tool.entered();
  assert.equal(await search(page, 'sao paulo'), 'São Paulo');
  assert.equal(await search(page, 'София'), 'Sofia');
  assert.match(await nearby(page), /^\d+ places within 60 km of Sofia$/);
  assert.equal(await stack.tool.entered(), before + 3);
  assert.deepEqual(page.complaints, []);
});

test('the tool is told who calls: the page’s origin and its visitor, vouched for by its backend', async () => {
  const answer = await page.evaluate(async () => {
    const { openSession } = await import('/session.js');
    const settings = await (await fetch('/settings.json')).json();
    return (await openSession(settings, () => {}).fetch('/v1/search?q=Varna&limit=1')).json();
  });
  assert.equal(answer.caller.user, stack.user.id);
  assert.equal(answer.caller.origin, stack.page.url);
  assert.equal(answer.caller.assurance, 'server');
  assert.match(answer.caller.end_user, /^visitor-[0-9a-f]{10}$/);
  assert.match(answer.attribution, /GeoNames.*CC BY 4\.0/);
});

test('a request that is sent as it was signed is let in: what follows is refused for the spoiling alone', async () => {
  const before = await stack.tool.entered();
  assert.equal((await sendFrom(page, await hold(page, '/v1/search?q=Sofia'))).status, 200);
  assert.equal((await sendFrom(page, await hold(page, '/v1/nearby', { method: 'POST', body: SOFIA }))).status, 200);
  assert.equal(await stack.tool.entered(), before + 2);
});

test('changed body: digest_mismatch (R26)', async () => {
  const signed = await hold(page, '/v1/nearby', { method: 'POST', body: SOFIA });
  await refused({ ...signed, body: PARIS }, 401, 'digest_mismatch');
});

test('changed body and a digest to match: invalid_signature', async () => {
  const signed = await hold(page, '/v1/nearby', { method: 'POST', body: SOFIA });
  const other = await hold(page, '/v1/nearby', { method: 'POST', body: PARIS });
  const headers = { ...signed.headers, 'content-digest': other.headers['content-digest'] };
  await refused({ ...signed, headers, body: PARIS }, 401, 'invalid_signature');
});

test('changed query: invalid_signature', async () => {
  const signed = await hold(page, '/v1/search?q=Sofia');
  await refused({ ...signed, url: signed.url.replace('Sofia', 'Varna') }, 401, 'invalid_signature');
});

test('changed method: invalid_signature', async () => {
  const signed = await hold(page, '/v1/search?q=Sofia');
  await refused({ ...signed, method: 'DELETE' }, 401, 'invalid_signature');
});

test('replay of the same bytes: replayed (R29)', async () => {
  const signed = await hold(page, '/v1/search?q=Sofia');
  assert.equal((await sendFrom(page, signed)).status, 200);
  await refused(signed, 401, 'replayed');
  await refused(signed, 401, 'replayed');
});

test('token for another tool: invalid_signature, since its key is another', async () => {
  await refused(await hold(page, '/v1/search?q=Sofia', { tool: 'postcards' }), 401, 'invalid_signature');
});

test('token minted for another origin: origin_denied', async () => {
  const neighbour = await visit(browser, stack.page.otherUrl);
  await refused(await hold(page, '/v1/search?q=Sofia'), 403, 'origin_denied', neighbour);
  await neighbour.context().close();
});

test('ticket minted for another origin: the issuer gives nothing', async () => {
  const neighbour = await visit(browser, stack.page.otherUrl);
  const ticket = await page.evaluate(() => fetch('/bmap-ticket', { method: 'POST' }).then((answer) => answer.text()));
  const answer = await neighbour.evaluate(
    async ({ issuer, ticket }) => {
      const form = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: ticket, subject_token_type: 'urn:bmap:token-type:ticket', audience: 'places' };
      const answer = await fetch(`${issuer}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
      return { status: answer.status, code: (await answer.json()).code };
    },
    { issuer: stack.issuer, ticket },
  );
  assert.deepEqual(answer, { status: 403, code: 'origin_denied' });
  await neighbour.context().close();
});

test('no signature, token alone: missing_signature', async () => {
  const { method, url, headers } = await hold(page, '/v1/search?q=Sofia');
  await refused({ method, url, headers: { authorization: headers.authorization } }, 401, 'missing_signature');
  await refused({ method, url, headers: {} }, 401, 'missing_signature');
});

for (const [name, hours] of [['slow', -3], ['fast', 3]]) {
  test(`a page whose clock is 3 hours ${name} works without a visible error`, async () => {
    const late = await visit(browser, stack.page.url, {
      before: (page) => page.addInitScript((shift) => {
        const Real = Date;
        globalThis.Date = class extends Real {
          constructor(...given) {
            super(...(given.length ? given : [Real.now() + shift]));
          }
          static now() {
            return Real.now() + shift;
          }
        };
      }, hours * 3_600_000),
    });
    const shift = (await late.evaluate(() => Date.now())) - Date.now();
    assert.ok(Math.abs(shift - hours * 3_600_000) < 60_000, 'the clock is wrong as it should be');
    assert.equal(await search(late, 'Sofia'), 'Sofia');
    assert.match(await nearby(late), /places within/);
    assert.deepEqual(await verdicts(late), ['200 let in', '200 let in']);
    assert.deepEqual(late.complaints, []);
    await late.context().close();
  });
}

test('a tool that restarts between two requests is not noticed: the SDK signs again (F08)', async () => {
  const visitor = await visit(browser, stack.page.url);
  assert.equal(await search(visitor, 'Sofia'), 'Sofia');
  await stack.tool.restart();
  assert.equal(await search(visitor, 'Varna'), 'Varna');
  assert.match(await nearby(visitor), /places within/);
  assert.equal((await verdicts(visitor))[0], '200 let in');
  assert.deepEqual(visitor.complaints, []);
  await visitor.context().close();
});

test('the page talks to itself, the issuer and the tool, and to nobody else', async () => {
  const hosts = new Set();
  const fresh = await visit(browser, stack.page.url, { before: (page) => page.on('request', (request) => hosts.add(new URL(request.url()).origin)) });
  await search(fresh, 'Sofia');
  await nearby(fresh);
  assert.deepEqual([...hosts].sort(), [stack.issuer, stack.page.url, stack.tool.url].sort());
  await fresh.context().close();
});
