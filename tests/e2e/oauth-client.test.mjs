// A client of OAuth that knows nothing of this project: npm's oauth4webapi, with the options that it has for token types of others.
//
// It finds the endpoints in the metadata (RFC 8414), authenticates by Basic with form-encoded parts (RFC 6749 §2.3.1), and reads our
// refusals as those of RFC 6749 §5.2.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as oauth from 'oauth4webapi';
import { freePort, Processes } from './lib/processes.mjs';
import { Admin, BIN } from './lib/stack.mjs';

const PASSWORD = 'violet-kettle-49-marsh';
const EMAIL = 'ana@shop.example';
// The issuer is on loopback here, without TLS.
const loopback = { [oauth.allowInsecureRequests]: true };
// What the application does with tokens of our type: it signs with their key.
const tokens = {
  recognizedTokenTypes: {
    httpsig: (_, body) => assert.equal(typeof body.signing_key, 'string'),
  },
};

let folder, processes, issuer, admin, key, server;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bmap-e2e-'));
  processes = new Processes(folder);
  const port = await freePort();
  issuer = `http://127.0.0.1:${port}`;
  // In development links are in the log, where a mail server would get them.
  const env = { BMAP_DATA_DIR: join(folder, 'issuer'), BMAP_LISTEN: `127.0.0.1:${port}`, BMAP_DEVELOPMENT: 'true' };
  const ready = () => fetch(`${issuer}/readyz`).then(({ ok }) => ok, () => false);
  await processes.start('issuer', [join(BIN, 'bmap'), 'serve'], { env, ready });
  admin = new Admin(env);
  const user = await admin.addUser('backend');
  await admin.addTool('places', 'http://127.0.0.1:4001');
  key = await admin.addKey(user.id, ['places'], ['https://shop.example']);
  const url = new URL(issuer);
  server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...loopback }));
});
after(async () => {
  await processes?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const client = () => ({ client_id: key.id });
const directToken = (secret) =>
  oauth.clientCredentialsGrantRequest(server, client(), oauth.ClientSecretBasic(secret), { audience: 'places' }, loopback);
const refresh = async (token) =>
  oauth.processRefreshTokenResponse(
    server,
    { client_id: 'unused' },
    await oauth.refreshTokenGrantRequest(server, { client_id: 'unused' }, withoutClient, token, loopback),
  );
// A session's refresh token is a credential of its own: no client is named beside it.
const withoutClient = () => {};

test('u03_client_credentials by Basic', async () => {
  const answer = await oauth.processClientCredentialsResponse(server, client(), await directToken(key.secret), tokens);
  assert.equal(answer.token_type, 'httpsig');
  assert.ok(answer.expires_in > 0 && answer.access_token.split('.').length === 3);
});

test('a wrong secret is a failed client', async () => {
  const wrong = `${key.secret.slice(0, 10)}${key.secret[10] === 'A' ? 'B' : 'A'}${key.secret.slice(11)}`;
  await assert.rejects(
    async () => oauth.processClientCredentialsResponse(server, client(), await directToken(wrong), tokens),
    (fault) => {
      // RFC 6749 §5.2: with the challenge of the scheme that was tried.
      assert.ok(fault instanceof oauth.WWWAuthenticateChallengeError, `${fault}`);
      assert.equal(fault.cause[0].scheme, 'basic');
      return true;
    },
  );
});

test('u06_a session is refreshed, and after sign-out its refresh token is an invalid grant', async () => {
  const { refresh_token: first } = await signedIn();
  const next = await refresh(first);
  assert.equal(next.token_type, 'bearer');
  assert.notEqual(next.refresh_token, first);
  const signedOut = await post('/auth/logout', { refresh_token: next.refresh_token });
  assert.ok(signedOut.ok, await signedOut.text());
  for (const dead of [next.refresh_token, first, `bmr_${'A'.repeat(43)}`]) {
    await assert.rejects(refresh(dead), (fault) => {
      assert.ok(fault instanceof oauth.ResponseBodyError, `${fault}`);
      assert.deepEqual([fault.error, fault.status], ['invalid_grant', 400]);
      return true;
    });
  }
});

const post = (path, body) =>
  fetch(`${issuer}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** An account, made as its owner would, and signed in. */
async function signedIn() {
  assert.equal((await post('/auth/register', { email: EMAIL, password: PASSWORD })).status, 202);
  let link;
  for (let tries = 0; !link && tries < 200; tries += 1) {
    await sleep(50);
    link = /token=(bmc_[\w-]+)/.exec(readFileSync(join(folder, 'issuer.log'), 'utf8'))?.[1];
  }
  assert.ok((await post('/auth/confirm', { token: link, password: PASSWORD })).ok);
  const answer = await post('/auth/login', { email: EMAIL, password: PASSWORD });
  assert.equal(answer.status, 200);
  return answer.json();
}
