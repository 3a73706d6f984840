// One signed request, copied: exactly one copy is let in, however many come at once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bytesOf, directToken, send, sendCopies, sign } from './lib/attacker.mjs';
import { startStack } from './lib/stack.mjs';

const COPIES = 200;

let stack;
before(async () => (stack = await startStack()));
after(() => stack?.stop());

for (const [name, request] of [
  ['GET', { url: '/v1/search?q=Sofia' }],
  ['POST', { url: '/v1/nearby', method: 'POST', body: '{"lat":42.7,"lon":23.3}' }],
]) {
  test(`${COPIES} copies of one signed ${name} at once: exactly one is let in (R29)`, async () => {
    const token = await directToken(stack);
    const before = await stack.tool.entered();
    const bytes = bytesOf(sign(token, { ...request, url: stack.tool.url + request.url }));
    const answers = await sendCopies(bytes, stack.tool.url, COPIES);
    assert.equal(answers.length, COPIES);
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ status, code }) => status === 401 && code === 'replayed').length, COPIES - 1);
    assert.equal(await stack.tool.entered(), before + 1);
  });
}

test('a tool that was restarted has forgotten what it saw, so it refuses what it may have let in (F08)', async () => {
  const token = await directToken(stack);
  const url = `${stack.tool.url}/v1/search?q=Sofia`;
  const used = sign(token, { url });
  assert.equal((await send(used)).status, 200);
  await stack.tool.restart();
  // Still within its minute, and the record that would know it is gone.
  assert.deepEqual(await send(used), { status: 503, code: 'replay_store_unavailable' });
  assert.equal(await stack.tool.entered(), 0);
});
