// Signing in with an OpenID provider in Chromium: npm `oidc-provider` with its own pages, the issuer, and a page that runs the
// script of docs/openid.md; each on a site of its own. Once over http of this machine, as a developer has it, and once over TLS,
// where the cookie has the `__Host-` prefix.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { launch } from './lib/browser.mjs';
import { startSignIn } from './lib/sign-in.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

for (const tls of [false, true]) describe(tls ? 'over TLS' : 'over http', () => stories(tls));

function stories(tls) {
  const cookieName = tls ? '__Host-bmap-openid' : 'bmap-openid';
  let world;
  before(async () => (world = await startSignIn({ tls })));
  after(() => world?.stop());

  /** A visitor at the shop, in a browser of their own. */
  async function visitor(url = world.page.url) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (fault) => complaints.push(String(fault)));
    page.on('console', (message) => {
      // Of every answer of 400 and above, and of the font that the provider's pages ask for elsewhere.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
    });
    await page.goto(url);
    return Object.assign(page, { complaints });
  }

  /** Calls a function of the page's script: what it gives, or what it throws. */
  const call = (page, name, ...args) => page.evaluate(async ([name, args]) => {
    const script = await import('/sign-in.mjs');
    return script[name](...args).catch((fault) => ({ refused: fault.message }));
  }, [name, args]);

  /** The visitor leaves for the provider. */
  async function leave(page, intent) {
    await Promise.all([page.waitForURL(`${world.provider}/**`), call(page, 'signIn', 'acme', intent)]);
  }

  /** At the provider: who they are, and that they agree, unless they did before. */
  async function agree(page, login, { before = false } = {}) {
    await page.fill('input[name=login]', login);
    await page.fill('input[name=password]', 'x');
    await page.click('button[type=submit]');
    if (before) return;
    await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
    await page.click('button[type=submit]');
  }

  const back = (page) => page.waitForURL(`${world.page.url}#*`);

  async function signIn(page, login) {
    await leave(page);
    await Promise.all([back(page), agree(page, login)]);
    return call(page, 'signedIn');
  }

  /** A request of the page's to the issuer: status and content. */
  const ask = (page, path, { token, method = 'GET', body } = {}) => page.evaluate(async ({ url, token, method, body }) => {
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }) };
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, ...(text && JSON.parse(text)) };
  }, { url: world.issuer + path, token, method, body });

  /** The visitor's return, held back at the issuer's door: its URL. */
  async function heldBack(page, login) {
    await leave(page);
    // Where a redirect leads can be held back by the browser's own protocol alone.
    const session = await page.context().newCDPSession(page);
    const held = new Promise((resolve) => session.once('Fetch.requestPaused', async ({ requestId, request }) => {
      await session.send('Fetch.fulfillRequest', { requestId, responseCode: 204 });
      await session.detach();
      resolve(request.url);
    }));
    await session.send('Fetch.enable', { patterns: [{ urlPattern: `${world.issuer}/auth/openid/acme/callback*` }] });
    await agree(page, login);
    return held;
  }

  /** The page for a browser that opens a return which is not its own, or not any more. */
  async function assertRefused(page, url) {
    const answer = await page.goto(url);
    assert.equal(answer.status(), 401);
    assert.equal((await answer.json()).code, 'invalid_credentials');
    assert.equal(page.url(), url, 'no browser is sent on');
  }

  test('a visitor signs in, asks who they are, goes on and signs out', async () => {
    const page = await visitor();
    await leave(page);
    const [cookie, ...others] = await page.context().cookies(world.issuer);
    assert.deepEqual(others, []);
    const { name, domain, path, httpOnly, secure, sameSite, expires } = cookie;
    assert.deepEqual(
      { name, domain, path, httpOnly, secure, sameSite },
      { name: cookieName, domain: 'auth.localhost', path: '/', httpOnly: true, secure: tls, sameSite: 'Lax' },
    );
    assert.ok(expires - Date.now() / 1000 <= 600, 'it ends with the sign-in');
    await Promise.all([back(page), agree(page, 'ana')]);
    assert.match(page.url(), /#code=bmi_[\w-]{43}$/);
    const code = page.url().split('=')[1];
    const pair = await call(page, 'signedIn');
    assert.equal(page.url(), world.page.url, 'the address shows no code any more');
    assert.deepEqual(await page.evaluate(() => [document.cookie, sessionStorage.length]), ['', 0]);

    const me = await ask(page, '/auth/me', { token: pair.access_token });
    assert.equal(me.status, 200);
    assert.deepEqual(me.identities.map(({ provider, subject, email }) => ({ provider, subject, email })), [
      { provider: 'acme', subject: 'ana', email: 'ana@mail.example' },
    ]);
    const next = await ask(page, '/auth/refresh', { method: 'POST', body: { refresh_token: pair.refresh_token } });
    assert.equal(next.status, 200);
    assert.notEqual(next.refresh_token, pair.refresh_token);
    assert.equal((await ask(page, '/auth/me', { token: next.access_token })).id, me.id);
    const out = await ask(page, '/auth/logout', { method: 'POST', body: { refresh_token: next.refresh_token } });
    assert.equal(out.status, 204);
    assert.equal((await ask(page, '/auth/me', { token: next.access_token })).status, 401);
    assert.deepEqual(page.complaints, []);
    assert.ok(!world.page.asked.some((asked) => asked.includes(code) || asked.includes(world.provider)), 'no server was told the code');
    await page.context().close();
  });

  test('whoever signed in by password links an identity, and signs in with it', async () => {
    const account = await world.account('bea@shop.example');
    const page = await visitor();
    await leave(page, 'link');
    await Promise.all([back(page), agree(page, 'bea at acme')]);
    const linked = await call(page, 'linked', 'acme', account.access_token);
    assert.deepEqual([linked.provider, linked.subject], ['acme', 'bea at acme']);
    const me = await ask(page, '/auth/me', { token: account.access_token });
    // Signed in at the provider already: no page of its is shown.
    await Promise.all([back(page), call(page, 'signIn', 'acme')]);
    const pair = await call(page, 'signedIn');
    const again = await ask(page, '/auth/me', { token: pair.access_token });
    assert.deepEqual([again.id, again.email], [me.id, 'bea@shop.example']);
    const unlinked = await ask(page, '/auth/openid/acme', { method: 'DELETE', token: pair.access_token });
    assert.equal(unlinked.status, 204);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test('t28: nobody ends at their page what began at somebody else’s', async () => {
    const [mallory, victim] = [await visitor(), await visitor()];
    await leave(mallory);
    await Promise.all([back(mallory), agree(mallory, 'mallory')]);
    // A link to the shop with mallory's code in it: opened as it is, and while the victim's own sign-in is on its way.
    await victim.goto('about:blank');
    await victim.goto(mallory.url());
    assert.deepEqual(await call(victim, 'signedIn'), { refused: 'malformed_request' });
    await leave(victim);
    await victim.goto(mallory.url());
    assert.deepEqual(await call(victim, 'signedIn'), { refused: 'invalid_credentials' });
    // A caller that shows a code without its verifier uses it up.
    assert.deepEqual(await call(mallory, 'signedIn'), { refused: 'invalid_credentials' });
    for (const page of [mallory, victim]) await page.context().close();
  });

  test('t28: a return is for the browser that began it, and for once', async () => {
    const [mallory, victim] = [await visitor(), await visitor()];
    const url = await heldBack(mallory, 'mallory');
    await assertRefused(victim, url); // no cookie
    await victim.goto(world.page.url);
    await leave(victim);
    await assertRefused(victim, url); // the cookie of a sign-in of their own
    const cookies = await mallory.context().cookies(world.issuer);
    const change = async (value) => {
      await mallory.context().clearCookies({ name: cookieName });
      if (value) await mallory.context().addCookies([{ ...cookies[0], value }]);
    };
    for (const value of [undefined, 'bmn_x', `bmn_${'A'.repeat(43)}`]) {
      await change(value);
      await assertRefused(mallory, url);
    }
    // None of it used up anything: the browser that began it is let on, once.
    await change(cookies[0].value);
    await mallory.goto(url);
    assert.match(mallory.url(), /#code=/);
    const kept = await mallory.evaluate(() => ({ ...sessionStorage }));
    await assertRefused(mallory, url);
    assert.deepEqual(Object.keys(kept), ['verifier']);
    for (const page of [mallory, victim]) await page.context().close();
  });

  test('a provider’s code out of somebody else’s return is worth nothing in one’s own', async () => {
    const [mallory, victim] = [await visitor(), await visitor()];
    const stolen = new URL(await heldBack(victim, 'victim'));
    const own = new URL(await heldBack(mallory, 'mallory'));
    own.searchParams.set('code', stolen.searchParams.get('code'));
    await mallory.goto(own.href);
    assert.equal(mallory.url(), `${world.page.url}#error=sign_in_failed`);
    for (const page of [mallory, victim]) await page.context().close();
  });

  test('two tabs of one browser sign in side by side', async () => {
    const first = await visitor();
    const second = await first.context().newPage();
    await second.goto(world.page.url);
    await leave(first);
    await leave(second);
    await Promise.all([back(first), agree(first, 'tom')]);
    assert.ok((await call(first, 'signedIn')).access_token);
    await Promise.all([back(second), agree(second, 'tom', { before: true })]);
    assert.ok((await call(second, 'signedIn')).access_token);
    await first.context().close();
  });

  test('whoever cancels at the provider is back at the page, which can say so', async () => {
    const page = await visitor();
    await leave(page);
    await Promise.all([back(page), page.click('a[href$="/abort"]')]);
    assert.equal(page.url(), `${world.page.url}#error=access_denied`);
    assert.deepEqual(await call(page, 'signedIn'), { refused: 'access_denied' });
    assert.equal(page.url(), world.page.url);
    assert.ok((await signIn(page, 'cleo')).access_token, 'and may change their mind');
    await page.context().close();
  });

  test('t29: a page that is not listed neither begins a sign-in nor reads an answer', async () => {
    const page = await visitor(world.page.otherUrl);
    const [answer] = await Promise.all([
      page.waitForResponse((answer) => answer.url().startsWith(`${world.issuer}/auth/openid/acme?`)),
      call(page, 'signIn', 'acme').catch(() => 'the page is left'),
    ]);
    assert.equal(answer.status(), 400);
    assert.equal((await answer.json()).code, 'malformed_request');
    await page.goto(`${world.page.otherUrl}#code=bmi_x`);
    assert.deepEqual(await call(page, 'signedIn'), { refused: 'Failed to fetch' });
    await page.context().close();
  });
}

// Why the cookie has two names. The issuer's http is for a developer's browser, whichever that is, and browsers differ in whether
// they keep a `Secure` cookie over http: a plain one they all do. The test says what this one does.
test('a plain cookie is kept over http of this machine, whatever becomes of one with the prefix', async (t) => {
  let sent;
  const server = createServer(({ headers }, answer) => {
    sent = headers.cookie;
    answer.setHeader('set-cookie', ['__Host-probe=1; Path=/; Secure; SameSite=Lax', 'plain=1; Path=/; SameSite=Lax']).end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  for (const host of ['127.0.0.1', 'localhost', 'auth.localhost']) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const url = `http://${host}:${server.address().port}/`;
    for (const path of ['first', 'second']) await page.goto(url + path);
    assert.match(sent, /(^|; )plain=1($|;)/, host);
    t.diagnostic(`Chromium ${browser.version()} sends to ${host}: ${sent}`);
    await context.close();
  }
  server.close().closeAllConnections();
});
