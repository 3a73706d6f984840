// A client of OAuth that knows nothing of this project: npm's oauth4webapi, with the options that it has for token types of others.
//
// It finds the endpoints in the metadata (RFC 8414), authenticates by Basic with form-encoded parts or in the form (RFC 6749 §2.3.1), names the
// tool by its address (RFC 8707), exchanges (RFC 8693), asks about tokens (RFC 7662) and revokes them (RFC 7009), and reads our refusals as those
// of RFC 6749 §5.2.

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

test('discovery says how a client authenticates, and where', () => {
  const at = (path) => `${issuer}/oauth/${path}`;
  assert.deepEqual(
    [server.token_endpoint, server.introspection_endpoint, server.revocation_endpoint],
    [at('token'), at('introspect'), at('revoke')],
  );
  for (const endpoint of ['token', 'introspection', 'revocation']) {
    const methods = server[`${endpoint}_endpoint_auth_methods_supported`];
    assert.ok(['client_secret_basic', 'client_secret_post'].every((method) => methods.includes(method)), endpoint);
  }
  assert.deepEqual(server.bmap_versions_supported, ['bmap-1']);
});

test('client credentials in the form, for a resource', async () => {
  const { access_token: token } = await forResource('http://127.0.0.1:4001/');
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.deepEqual([claims.aud, claims.client_id], ['places', key.id]);
  for (const resource of ['http://127.0.0.1:4999', 'not-a-url']) {
    await assert.rejects(forResource(resource), isRefused('invalid_target'));
  }
});

for (const [name, authentication] of [['Basic', oauth.ClientSecretBasic], ['the form', oauth.ClientSecretPost]]) {
  test(`a token is asked about and revoked, with the client in ${name}`, async () => {
    const { access_token: token } = await forResource('http://127.0.0.1:4001');
    const active = await introspect(token, authentication);
    assert.equal(active.active, true);
    assert.deepEqual([active.aud, active.client_id, active.iss], ['places', key.id, issuer]);
    // It reads the empty answer of RFC 7009 §2.2; a second time is no error.
    for (const again of [token, token, 'never-a-token']) await revoke(again, authentication(key.secret));
    assert.deepEqual(await introspect(token, authentication), { active: false });
    assert.deepEqual(await introspect('never-a-token', authentication), { active: false });
  });
}

test('a page exchanges the token of a signed-in user, and the client ends it', async () => {
  const { access_token: access, refresh_token: token } = await signedIn();
  const parameters = {
    subject_token: access,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: 'http://127.0.0.1:4001',
  };
  const options = { ...loopback, headers: { origin: 'https://shop.example' } };
  const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const response = await oauth.genericTokenEndpointRequest(server, client(), oauth.None(), exchange, parameters, options);
  const answer = await oauth.processGenericTokenEndpointResponse(server, client(), response, tokens);
  assert.equal((await introspect(answer.access_token, oauth.ClientSecretPost)).origin, 'https://shop.example');
  // The user's own token is no matter of the client's.
  assert.deepEqual(await introspect(access, oauth.ClientSecretPost), { active: false });
  await assert.rejects(revoke(access, oauth.ClientSecretPost(key.secret)), isRefused('unsupported_token_type'));
  // Its refresh token needs no client.
  await revoke(token, withoutClient);
  await assert.rejects(refresh(token), isRefused('invalid_grant'));
  assert.deepEqual(await introspect(answer.access_token, oauth.ClientSecretPost), { active: false });
});

const isRefused = (error) => (fault) => {
  assert.ok(fault instanceof oauth.ResponseBodyError, `${fault}`);
  assert.equal(fault.error, error);
  return true;
};
const forResource = async (resource) => {
  const authentication = oauth.ClientSecretPost(key.secret);
  const response = await oauth.clientCredentialsGrantRequest(server, client(), authentication, { resource }, loopback);
  return oauth.processClientCredentialsResponse(server, client(), response, tokens);
};
const introspect = async (token, authentication) => {
  const response = await oauth.introspectionRequest(server, client(), authentication(key.secret), token, loopback);
  return oauth.processIntrospectionResponse(server, client(), response);
};
const revoke = async (token, authentication) =>
  oauth.processRevocationResponse(await oauth.revocationRequest(server, client(), authentication, token, loopback));

const post = (path, body) =>
  fetch(`${issuer}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

let made;

/** Signed in to an account that was made once, as its owner would. */
async function signedIn() {
  made ??= makeAccount();
  await made;
  const answer = await post('/auth/login', { email: EMAIL, password: PASSWORD });
  assert.equal(answer.status, 200);
  return answer.json();
}

async function makeAccount() {
  assert.equal((await post('/auth/register', { email: EMAIL, password: PASSWORD })).status, 202);
  let link;
  for (let tries = 0; !link && tries < 200; tries += 1) {
    await sleep(50);
    link = /token=(bmc_[\w-]+)/.exec(readFileSync(join(folder, 'issuer.log'), 'utf8'))?.[1];
  }
  assert.ok((await post('/auth/confirm', { token: link, password: PASSWORD })).ok);
}
