// A second implementation of RFC 9421, the npm package http-message-signatures, verifies what this package signs.
import { createClient } from '@bmap/auth';
import { createVerifier, httpbis } from 'http-message-signatures';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from './world.mjs';

async function verify(world, entry, url) {
  const { key, id } = world.tokens.get(entry.token);
  return httpbis.verifyMessage(
    {
      keyLookup: async (params) => {
        assert.equal(params.tag, 'bmap-1');
        return { id, algs: ['hmac-sha256'], verify: createVerifier(key, 'hmac-sha256') };
      },
      requiredFields: ['@method', '@authority', '@path', '@query', 'authorization'],
      requiredParams: ['created', 'nonce', 'keyid', 'tag'],
    },
    { method: entry.method, url, headers: entry.headers },
  );
}

test('http-message-signatures verifies what the package signs, and refuses what was changed', async (t) => {
  const world = await startWorld(t);
  const client = createClient({ issuer: world.issuer, ticket: () => world.ticket() });
  t.after(() => client.close());
  const places = client.tool('places');
  await places.fetch('/v1/search?q=%D0%A1%D0%BE%D1%84%D0%B8%D1%8F&limit=5');
  await places.fetch('/v1/nearby', { method: 'POST', body: '{"lat":1}', headers: { 'content-type': 'application/json' } });
  await places.fetch('/v1/layers/7', { method: 'DELETE' });
  for (const entry of world.log.tool) {
    const url = world.tool + entry.url;
    assert.equal(await verify(world, entry, url), true, entry.url);
    assert.equal(await verify(world, entry, `${url}${url.includes('?') ? '&' : '?'}x`), false);
    assert.equal(await verify(world, { ...entry, method: 'PUT' }, url), false);
  }
});
