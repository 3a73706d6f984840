// The host page's own backend: it gives tickets to its page and to no other, and files by name only.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { startStack } from './lib/stack.mjs';

let stack;
before(async () => (stack = await startStack()));
after(() => stack?.stop());

/** Node's fetch rewrites paths and refuses some headers; this sends what it is given. */
function ask(path, { method = 'GET', headers = {} } = {}) {
  const { hostname, port } = new URL(stack.page.otherUrl);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, method, headers }, async (answer) => {
      let text = '';
      for await (const chunk of answer.setEncoding('utf8')) text += chunk;
      resolve({ status: answer.statusCode, headers: answer.headers, text });
    }).once('error', reject).end();
  });
}

test('a ticket for the page itself, and a session that stays', async () => {
  const first = await ask('/bmap-ticket', { method: 'POST', headers: { origin: stack.page.url } });
  assert.equal(first.status, 200);
  assert.match(first.text, /^bmt_[\w-]{43}$/);
  const cookie = first.headers['set-cookie'][0];
  assert.match(cookie, /HttpOnly; SameSite=Strict/);
  const again = await ask('/bmap-ticket', { method: 'POST', headers: { origin: stack.page.url, cookie: cookie.split(';')[0] } });
  assert.equal(again.status, 200);
  assert.equal(again.headers['set-cookie'], undefined);
  assert.notEqual(again.text, first.text);
});

test('no ticket for another site, by any of its marks', async () => {
  const own = stack.page.url;
  for (const [what, path, given, status] of [
    ['another origin', '/bmap-ticket', { method: 'POST', headers: { origin: 'https://evil.example' } }, 403],
    ['an origin that only ends like ours', '/bmap-ticket', { method: 'POST', headers: { origin: own.replace('//', '//evil') } }, 403],
    ['no origin', '/bmap-ticket', { method: 'POST' }, 403],
    ['the null origin', '/bmap-ticket', { method: 'POST', headers: { origin: 'null' } }, 403],
    ['a cross-site fetch', '/bmap-ticket', { method: 'POST', headers: { origin: own, 'sec-fetch-site': 'cross-site' } }, 403],
    ['GET', '/bmap-ticket', { headers: { origin: own } }, 405],
    ['a tool that is not the page’s', '/bmap-ticket?tool=admin', { method: 'POST', headers: { origin: own } }, 403],
  ]) {
    const answer = await ask(path, given);
    assert.equal(answer.status, status, what);
    assert.doesNotMatch(answer.text, /bmt_/, what);
  }
});

test('files by name, and nothing beside them', async () => {
  for (const path of ['/../server.mjs', '/%2e%2e/server.mjs', '//', '/bmap-auth/../../package.json', '/lib/tickets.mjs', 'http://x/', '/__proto__']) {
    assert.equal((await ask(path)).status, 404, path);
  }
});

test('the page’s policy allows WebAssembly, and no inline script and no eval', async () => {
  const { headers } = await ask('/');
  const policy = headers['content-security-policy'];
  assert.match(policy, /script-src 'self' 'wasm-unsafe-eval'(;|$)/);
  assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'/);
  assert.match(policy, new RegExp(`connect-src 'self' ${stack.issuer} ${stack.tool.url}(;|$)`));
});
