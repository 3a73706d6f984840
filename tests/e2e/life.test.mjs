// Tokens that end: the shortest life that the issuer can be configured for, and real seconds.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { directToken, send, sign } from './lib/attacker.mjs';
import { launch, search, verdicts, visit } from './lib/browser.mjs';
import { startStack } from './lib/stack.mjs';

const TOKEN_SECONDS = 30;
const PAST_THE_END_MS = (TOKEN_SECONDS + 2) * 1000;

let stack;
let browser;

before(async () => {
  stack = await startStack({ tokenSeconds: TOKEN_SECONDS });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

const tokenId = (page) => page.locator('#claims dd').last().innerText();

// The stories wait for the same seconds, so they wait side by side.
test('tokens end', { concurrency: true }, async (t) => {
  const stories = [
    t.test('an expired token is refused with a fresh signature, and the handler is not entered', async () => {
      // A stack of its own: the other stories' requests would count at the same tool.
      const alone = await startStack({ tokenSeconds: TOKEN_SECONDS });
      try {
        const token = await directToken(alone);
        const request = { url: `${alone.tool.url}/v1/search?q=Sofia` };
        assert.equal((await send(sign(token, request))).status, 200);
        await sleep(PAST_THE_END_MS);
        assert.deepEqual(await send(sign(token, request)), { status: 401, code: 'token_expired' });
        assert.equal(await alone.tool.entered(), 1);
      } finally {
        await alone.stop();
      }
    }),

    t.test('the SDK renews by itself: the visitor sees nothing of it', async () => {
      const page = await visit(browser, stack.page.url);
      assert.equal(await search(page, 'Sofia'), 'Sofia');
      const first = await tokenId(page);
      await sleep(PAST_THE_END_MS);
      assert.equal(await search(page, 'Varna'), 'Varna');
      assert.notEqual(await tokenId(page), first);
      assert.deepEqual(await verdicts(page), ['200 let in', '200 let in']);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    }),

    t.test('a page that slept, and whose monotonic clock stood still meanwhile, is refused once and repairs it by itself', async () => {
      const page = await visit(browser, stack.page.url, {
        before: (page) => page.addInitScript(() => {
          // What some platforms do while a machine is suspended.
          let asleep = 0;
          const real = performance.now.bind(performance);
          performance.now = () => asleep || real();
          globalThis.fallAsleep = () => (asleep = real());
        }),
      });
      assert.equal(await search(page, 'Sofia'), 'Sofia');
      await page.evaluate(() => globalThis.fallAsleep());
      await sleep(PAST_THE_END_MS);
      const before = await stack.tool.entered();
      const answer = await page.evaluate(async () => {
        const answers = [];
        const real = globalThis.fetch;
        globalThis.fetch = async (...given) => {
          const answer = await real(...given);
          answers.push(answer.status);
          return answer;
        };
        document.querySelector('#query').value = 'Varna';
        document.querySelector('#search').requestSubmit();
        while (document.querySelector('#results .name')?.textContent !== 'Varna') await new Promise((done) => setTimeout(done, 50));
        globalThis.fetch = real;
        return answers;
      });
      assert.equal(answer[0], 401, `the first try was refused: ${answer}`);
      assert.equal(answer.at(-1), 200);
      assert.ok((await stack.tool.entered()) > before);
      await page.context().close();
    }),
  ];
  await Promise.all(stories);
});

test('a user who is deactivated gets no renewal', async () => {
  const page = await visit(browser, stack.page.url);
  assert.equal(await search(page, 'Sofia'), 'Sofia');
  await stack.admin.deactivate(stack.user.id);
  await sleep(PAST_THE_END_MS - 4_000); // so late that the SDK renews first, and so early that the token could still be renewed
  const before = await stack.tool.entered();
  await page.fill('#query', 'Varna');
  await page.press('#query', 'Enter');
  await page.waitForFunction(() => document.querySelector('#summary').textContent.startsWith('No answer'));
  assert.equal(await page.innerText('#summary'), 'No answer: user_inactive.');
  assert.equal(await stack.tool.entered(), before, 'the handler was entered');

  await stack.admin.activate(stack.user.id);
  await sleep(6_000); // the SDK does not ask again at once
  assert.equal(await search(page, 'Varna'), 'Varna');
  await page.context().close();
});
