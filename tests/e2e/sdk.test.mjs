// What `@bmap/auth` does in a page that goes away, in a service worker and under a policy: Chromium, the real issuer, a real tool.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { answerTicket } from '../../examples/widget-page/lib/tickets.mjs';
import { launch } from './lib/browser.mjs';
import { startStack } from './lib/stack.mjs';

const DIST = process.env.PAGE_BMAP_AUTH ?? fileURLToPath(new URL('../../npm/dist', import.meta.url));
const SOFIA = JSON.stringify({ lat: 42.69751, lon: 23.32415, limit: 3 });

let stack;
let browser;
let server;
let origin;
/** Answers of the page's server by path: type and text, and a policy where there is one. */
const files = {};

before(async () => {
  server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://page').pathname;
    if (path === '/bmap-ticket') return answerTicket(request, response, stack.settings).catch((fault) => response.writeHead(502).end(fault.message));
    const [type, text, policy] = files[path] ?? [];
    if (text !== undefined) return response.writeHead(200, { 'content-type': type, ...(policy && { 'content-security-policy': policy }) }).end(text);
    const name = /^\/auth\/([\w./-]+\.js)$/.exec(path)?.[1];
    if (!name || name.includes('..')) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(`${DIST}/${name}`));
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  origin = `http://localhost:${server.address().port}`;
  stack = await startStack();
  const key = await stack.admin.addKey(stack.user.id, ['places'], [origin]);
  stack.settings = { issuer: stack.issuer, origins: [origin], tool: 'places', otherTool: null, keyId: key.id, keySecret: key.secret };
  const html = (script) => `<!doctype html><title>sdk</title><script type="module">${script}</script>`;
  const start = `const ticket = () => fetch('/bmap-ticket', { method: 'POST' }).then((answer) => answer.text());
    const places = createClient({ issuer: ${JSON.stringify(stack.issuer)}, ticket }).tool('places');`;
  files['/'] = ['text/html', html(`import { createClient } from '/auth/index.js'; ${start} window.places = places; window.plain = { createClient };
    await places.fetch('/v1/search?q=Sofia'); document.documentElement.dataset.ready = 'true';`)];
  files['/next'] = ['text/html', '<!doctype html><title>next</title>'];
  files['/blocked'] = ['text/html', html(`import { createClient } from '/auth/index.js'; ${start}
    window.outcome = await places.fetch('/v1/search?q=Sofia').then(({ status }) => status, ({ code, message, retryable }) => ({ code, message, retryable }));
    document.documentElement.dataset.ready = 'true';`)];
  files['/worker.js'] = ['text/javascript', `import { createClient } from '/auth/static.js';
    ${start}
    self.addEventListener('install', () => self.skipWaiting());
    self.addEventListener('message', (event) => event.waitUntil((async () => {
      try {
        const answers = [await places.fetch('/v1/search?q=Sofia'), await places.fetch('/v1/nearby', { method: 'POST', body: ${JSON.stringify(SOFIA)}, headers: { 'content-type': 'application/json' } })];
        event.source.postMessage(answers.map(({ status }) => status));
      } catch (error) {
        event.source.postMessage(String(error.code ?? error));
      }
    })()));`];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await stack?.stop();
  server?.close();
});

async function open(path, context) {
  const page = await (context ?? (await browser.newContext())).newPage();
  await page.goto(origin + path);
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
  return page;
}

/** Leaves the page, which sends one request while it goes; answers with how many the tool was asked for. */
async function leave(send) {
  const page = await open('/');
  const before = await stack.tool.entered();
  await page.evaluate(send, SOFIA);
  await page.goto(`${origin}/next`);
  await page.close();
  for (let tries = 0; tries < 40; tries++) {
    const count = (await stack.tool.entered()) - before;
    if (count) return count;
    await sleep(50);
  }
  return 0;
}

test('a signed keepalive POST leaves a page that goes away, four times of four', async () => {
  const counts = [];
  for (let i = 0; i < 4; i++) {
    counts.push(await leave((body) => addEventListener('pagehide', () => {
      window.places.fetch('/v1/nearby', { method: 'POST', keepalive: true, body, headers: { 'content-type': 'application/json' } });
    })));
  }
  assert.deepEqual(counts, [1, 1, 1, 1]);
});

test('so do bytes, and a GET', async () => {
  assert.equal(await leave((body) => addEventListener('pagehide', () => {
    window.places.fetch('/v1/nearby', { method: 'POST', keepalive: true, body: new TextEncoder().encode(body), headers: { 'content-type': 'application/json' } });
  })), 1);
  assert.equal(await leave(() => addEventListener('pagehide', () => window.places.fetch('/v1/search?q=Varna', { keepalive: true }))), 1);
});

test('a body of more than 64 KiB is refused in words, and so is a Blob', async () => {
  const page = await open('/');
  const told = await page.evaluate(async () => {
    const outcome = (body) => window.places.fetch('/v1/nearby', { method: 'POST', keepalive: true, body }).then(() => 'sent', ({ code, message }) => `${code}: ${message}`);
    return [await outcome('x'.repeat(65_537)), await outcome(new Blob(['x']))];
  });
  assert.match(told[0], /^bad_request: .*65536 bytes at most/);
  assert.match(told[1], /^bad_request: .*with keepalive, give the body in init/);
  await page.close();
});

test('u05 a module service worker signs', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${origin}/next`);
  const answer = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.register('/worker.js', { type: 'module' });
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    await new Promise((resolve) => {
      if (worker.state === 'activated') return resolve();
      worker.addEventListener('statechange', () => worker.state === 'activated' && resolve());
    });
    return new Promise((resolve) => {
      navigator.serviceWorker.addEventListener('message', ({ data }) => resolve(data));
      navigator.serviceWorker.startMessages();
      worker.postMessage('go');
    });
  });
  assert.deepEqual(answer, [200, 200]);
  await context.close();
});

test('what a Content-Security-Policy blocks is not called a network error', async () => {
  const policy = (connect) => `default-src 'none'; script-src 'unsafe-inline' 'self' 'wasm-unsafe-eval'; connect-src 'self' ${connect}`;
  const [html] = [files['/blocked'][1]];
  for (const [connect, what] of [['', stack.issuer], [stack.issuer, stack.tool.url]]) {
    files['/blocked'] = ['text/html', html, policy(connect)];
    const page = await open('/blocked');
    const outcome = await page.evaluate(() => window.outcome);
    assert.equal(outcome.code, 'csp_blocked', JSON.stringify(outcome));
    assert.ok(outcome.message.includes(`add ${what} to connect-src`) && !outcome.retryable, outcome.message);
    await page.close();
  }
  files['/blocked'] = ['text/html', html, policy(`${stack.issuer} ${stack.tool.url}`).replace("'wasm-unsafe-eval'", '')];
  const page = await open('/blocked');
  const outcome = await page.evaluate(() => window.outcome);
  assert.deepEqual([outcome.code, outcome.retryable], ['wasm_unavailable', false]);
  assert.match(outcome.message, /wasm-unsafe-eval/);
  await page.close();
});

test('u13 dots inside a longer segment of a path are let in', async () => {
  const page = await open('/');
  const { status, code } = await page.evaluate(async () => {
    const answer = await window.places.fetch('/v1/compare/v1.0...v2.0');
    return { status: answer.status, code: (await answer.json().catch(() => ({}))).code };
  });
  assert.notEqual(status, 400);
  assert.notEqual(code, 'malformed_request');
  await page.close();
});

test('every kind of body is let in by a real verifier', async () => {
  const page = await open('/');
  const before = await stack.tool.entered();
  const statuses = await page.evaluate(async (json) => {
    const headers = { 'content-type': 'application/json' };
    const bytes = new TextEncoder().encode(json);
    const bodies = [json, bytes, bytes.buffer, new Blob([json]), new Blob([json]).stream()];
    const send = async (body) => (await window.places.fetch('/v1/nearby', { method: 'POST', headers, body })).status;
    const form = new FormData();
    form.set('file', new File([json], 'x.json'));
    const guard = await window.places.fetch('/v1/nearby', { method: 'POST', body: form });
    return [...(await Promise.all(bodies.map(send))), guard.status];
  }, SOFIA);
  assert.deepEqual(statuses.slice(0, 5), [200, 200, 200, 200, 200]);
  assert.ok(![400, 401, 403].includes(statuses[5]), `the form was let in: ${statuses[5]}`);
  assert.ok((await stack.tool.entered()) >= before + 5);
  await page.close();
});
