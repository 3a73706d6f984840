// `cargo xtask demo --smoke`: one visitor walks through the page; what was seen is printed step by step. Exit 0 or 1.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, visit } from './lib/browser.mjs';
import { toPalette } from './lib/png.mjs';
import { startStack } from './lib/stack.mjs';

const { values } = parseArgs({ options: { screenshot: { type: 'string' } } });

const EXPECTED_REFUSALS = {
  'changed-body': 'digest_mismatch',
  'changed-query': 'invalid_signature',
  replay: 'replayed',
  'other-tool': 'invalid_signature',
  'no-signature': 'missing_signature',
};

function see(what, holds, seen) {
  console.log(`${holds ? 'ok  ' : 'NOT '} ${what}: ${seen}`);
  if (!holds) throw new Error(`${what}: saw ${seen}`);
}

async function walk(stack, page) {
  see('page and tool are on different origins', new URL(page.url()).origin !== stack.tool.url, `${page.url()} and ${stack.tool.url}`);

  await page.fill('#query', 'Sofia');
  await page.press('#query', 'Enter');
  await page.waitForSelector('#results button');
  const first = (await page.innerText('#results button >> nth=0')).split('\n').join(' · ');
  see('search "Sofia"', first.startsWith('Sofia'), first);
  const verdict = await page.innerText('#verdict');
  see('verdict', verdict === '200 let in', verdict);
  const components = await page.locator('#components th').allInnerTexts();
  const must = ['@method', '@authority', '@path', '@query', 'authorization', 'created', 'nonce', 'keyid', 'tag'];
  see('covered', must.every((name) => components.includes(name)), components.join(' '));

  await page.click('#results button >> nth=0');
  await page.waitForFunction(() => document.querySelector('#summary').textContent.includes('within'));
  const summary = await page.innerText('#summary');
  see('nearby (POST with a body)', /^\d+ places within/.test(summary), summary);
  see('time to sign', (await page.innerText('#time-sign')) !== '–', (await page.innerText('#time-sign')).replace('\n', ' '));

  for (const [cheat, code] of Object.entries(EXPECTED_REFUSALS)) {
    await page.click(`#cheat-${cheat}`);
    const output = page.locator(`output[for="cheat-${cheat}"]`);
    await output.locator('b').waitFor();
    const seen = await output.locator('b').innerText();
    see(`cheat: ${cheat}`, seen === `Refused: 401 ${code}`, seen);
  }
  // Two lookups of the widget, and the one good copy of the replayed request.
  const entered = await stack.tool.entered();
  see('requests that entered the tool', entered === 3, `${entered}`);
  see('complaints of the page', page.complaints.length === 0, page.complaints.join('; ') || 'none');
}

async function picture(page, file) {
  // The panel shows the last good request rather than the last cheat's.
  await page.fill('#query', 'Plovdiv');
  await page.press('#query', 'Enter');
  await page.waitForFunction(() => document.querySelector('#results .name')?.textContent === 'Plovdiv');
  await page.click('#results button >> nth=0');
  await page.waitForFunction(() => document.querySelector('#summary').textContent.includes('km of Plovdiv'));
  await page.locator('h1').click(); // no focus ring in the picture
  await page.waitForTimeout(900); // the map's glide
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, toPalette(await page.screenshot({ fullPage: true })));
  console.log(`ok   picture: ${file}`);
}

const stack = await startStack();
const browser = await launch().catch(async (fault) => {
  await stack.stop();
  throw fault;
});
try {
  const page = await visit(browser, stack.page.url, { viewport: { width: 1280, height: 860 } });
  await walk(stack, page);
  if (values.screenshot) await picture(page, values.screenshot);
  console.log('demo: works');
} catch (fault) {
  console.error(`demo: ${fault.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  await stack.stop();
}
