// The known answers of the profile, from TypeScript's side: through the package as it ships, and through the whole profile in WebAssembly.
import { createClient } from '@bmap/auth';
import { inspect } from '@bmap/auth/inspect';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { secretOf } from './secret.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = process.env.BMAP_VECTORS ?? join(ROOT, 'vectors/bmap-1');
const text = (name) => readFileSync(join(FOLDER, `${name}.json`), 'utf8');
const keys = JSON.parse(text('keys'));
const requests = JSON.parse(text('requests'));
/** Headers that the package covers by itself where the caller sets them; the one of another kind is left out. */
const OURS = ['x-http-method-override'];
const sessions = requests.filter((vector) => vector.signer === 'session' && Object.keys(vector.extra ?? {}).every((name) => OURS.includes(name)));
const refusals = JSON.parse(text('refusals'));
const apiKeys = requests.filter((vector) => vector.signer === 'api-hmac');

/**
 * What the package sends for a vector: its token, its time, its nonce and its body go in where an issuer, a clock and the platform's
 * randomness would be.
 */
async function sendAsVector(t, vector, tool = 'geocoder') {
  const sent = [];
  const base = `https://${vector.authority}`;
  const nonce = Buffer.from(vector.nonce, 'base64url');
  t.mock.method(crypto, 'getRandomValues', (array) => {
    for (let at = 0; at < array.length; at += nonce.length) array.set(nonce, at); // each of a batch: the first is the one that counts
    return array;
  });
  t.mock.method(performance, 'now', () => 1000); // the second of the signature does not hang on how busy this machine is
  const fetcher = async (address, init) => {
    const request = { url: String(address), method: init.method, headers: Object.fromEntries(new Headers(init.headers)), body: init.body };
    sent.push(request);
    if (!request.url.endsWith('/oauth/token')) return new Response('{}');
    return Response.json({
      access_token: vector.token,
      token_type: 'HTTPSig',
      expires_in: 300,
      signing_key: Buffer.from(vector.signing_key_hex, 'hex').toString('base64url'),
      key_id: vector.claims.jti,
      tool: { id: tool, base_url: base },
      // The time of the vector's signature, in the middle of its second.
      server_time: vector.created * 1000 + 500,
    });
  };
  const client = createClient({ issuer: 'https://auth.bmap.example', ticket: () => `bmt_${'A'.repeat(43)}`, fetch: fetcher });
  t.after(() => client.close());
  const query = vector.query === '?' ? '' : vector.query;
  const body = vector.body_hex ? Buffer.from(vector.body_hex, 'hex') : undefined;
  const headers = { ...(vector.content_type && { 'content-type': vector.content_type }), ...vector.extra };
  if (vector.content_encoding) headers['content-encoding'] = vector.content_encoding;
  await client.tool(tool).fetch(`${base}${vector.path}${query}`, { method: vector.method, headers, ...(body && { body }) });
  return sent.at(-1);
}

/** A base as its lines, in an order of its own: the order is the sender's. */
const lines = (base) => base.split('\n').filter((line) => !line.startsWith('"@signature-params"')).sort();

test('vectors: there are some of each kind', () => {
  assert.ok(sessions.length >= 10 && apiKeys.length >= 1, `${sessions.length} and ${apiKeys.length}`);
});

for (const vector of sessions) {
  test(`vectors: the package signs ${vector.name}`, async (t) => {
    const { headers, url, method } = await sendAsVector(t, vector);
    const inspection = await inspect({ url, method, headers });
    assert.deepEqual(lines(inspection.base), lines(vector.signature_base), 'the same components with the same values');
    const params = (input) => input.slice(input.indexOf(')'));
    assert.equal(params(headers['signature-input']), params(vector.headers['signature-input']), 'the same parameters');
    assert.equal(headers['content-digest'], vector.headers['content-digest']);
    assert.equal(headers.authorization, vector.headers.authorization);
    // The token is covered first here and fifth in the vector, so the bytes differ; node:crypto says what they must be.
    const key = Buffer.from(vector.signing_key_hex, 'hex');
    assert.equal(headers.signature, `bmap=:${createHmac('sha256', key).update(inspection.base).digest('base64')}:`);
  });
}

for (const vector of refusals.filter((vector) => vector.name.startsWith('path-'))) {
  test(`vectors: the package does not send ${vector.name}`, async (t) => {
    // What a URL makes of a path is another path, which is signed as it is sent; any other is refused before it is sent.
    const { pathname } = new URL(`https://${vector.authority}${vector.path}`);
    if (pathname === vector.path) {
      await assert.rejects(sendAsVector(t, vector), { code: 'bad_url' });
    } else {
      const sent = await sendAsVector(t, vector).catch((error) => error);
      if (sent instanceof Error) assert.equal(sent.code, 'bad_url');
      else assert.equal(sent.url, `https://${vector.authority}${pathname}`);
    }
  });
}

for (const vector of apiKeys) {
  test(`vectors: the package's signer gives the bytes of ${vector.name}`, async (t) => {
    const { glue } = await import(new URL('chunks/direct-glue.js', import.meta.resolve('@bmap/auth')).href);
    const fresh = glue();
    const module = await WebAssembly.compile(readFileSync(new URL('direct.wasm', import.meta.resolve('@bmap/auth'))));
    fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
    const nonce = Buffer.from(vector.nonce, 'base64url');
    t.mock.method(crypto, 'getRandomValues', (array) => (array.set(nonce), array));
    const secret = secretOf(Buffer.from(keys.api_key.secret_hex, 'hex'));
    const signer = fresh.apiKeySigner(keys.api_key.key_id, secret);
    const digest = fresh.contentDigest(Buffer.from(vector.body_hex, 'hex'));
    assert.equal(digest, vector.headers['content-digest']);
    const url = new URL(`https://${vector.authority}${vector.path}${vector.query}`);
    const [input, signature] = signer.sign(vector.method, url, vector.created, vector.content_type, digest).split('\n');
    assert.equal(input, vector.headers['signature-input']);
    assert.equal(signature, vector.headers.signature);
    const headers = { ...vector.headers, 'signature-input': input, signature };
    assert.equal((await inspect({ method: vector.method, url, headers })).base, vector.signature_base);
    signer.free();
  });
}

for (const vector of requests) {
  test(`vectors: inspect rebuilds the base of ${vector.name}`, async () => {
    const url = `https://${vector.authority}${vector.path}${vector.query}`;
    const inspection = await inspect({ method: vector.method, url, headers: vector.headers });
    assert.equal(inspection.base, vector.signature_base);
    assert.equal(Buffer.from(inspection.nonce).toString('base64url'), vector.nonce);
    assert.equal(inspection.created, vector.created);
    assert.deepEqual(inspection.unverifiedClaims, vector.claims ?? null);
    const signature = Buffer.from(inspection.signature).toString('base64');
    assert.equal(`bmap=:${signature}:`, vector.headers.signature);
  });
}

test('vectors: the whole profile in WebAssembly, signing to the byte, accepting and refusing', async () => {
  const built = process.env.BMAP_VECTORS_WASM ?? join(ROOT, 'target/vectors-wasm');
  assert.ok(existsSync(join(built, 'vectors.wasm')), 'cargo xtask wasm vectors builds it');
  const { glue } = await import(pathToFileURL(join(built, 'vectors-glue.js')).href);
  const fresh = glue();
  const module = await WebAssembly.compile(readFileSync(join(built, 'vectors.wasm')));
  fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
  const report = fresh.runVectors(text('keys'), text('requests'), text('refusals'), text('capability'));
  assert.deepEqual(report.failed, []);
  for (const { name } of requests) assert.ok(report.passed.includes(`sign ${name}`) && report.passed.includes(`accept ${name}`), name);
  for (const { name } of refusals) assert.ok(report.passed.includes(`refuse ${name}`), name);
  for (const { name, expect } of JSON.parse(text('capability'))) {
    for (const part of expect ? ['refuse'] : ['mint', 'strip', 'accept']) assert.ok(report.passed.includes(`${part} ${name}`), name);
  }

  // And it can fail.
  const spoiled = JSON.parse(text('requests'));
  spoiled[0].headers.signature = spoiled[1].headers.signature;
  assert.notDeepEqual(fresh.runVectors(text('keys'), JSON.stringify(spoiled), text('refusals'), text('capability')).failed, []);
});
