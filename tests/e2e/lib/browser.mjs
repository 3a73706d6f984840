// The visitor: a real Chromium.

import { chromium } from 'playwright-core';

/** @returns {Promise<import('playwright-core').Browser>} */
export function launch() {
  return chromium.launch({
    executablePath: process.env.BMAP_CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Nothing of a test's page is got from anywhere else.
      '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1',
    ],
  });
}

/** Opens the page and waits until its widget is ready. What the page complains about is kept in `complaints`. */
export async function visit(browser, url, options = {}) {
  const { before, ...context } = options;
  const opened = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...context });
  const page = await opened.newPage();
  const complaints = [];
  page.on('pageerror', (fault) => complaints.push(String(fault)));
  page.on('console', (message) => {
    // Chromium writes a line for every answer of 400 and above; those the stories look at themselves.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  await before?.(page);
  await page.goto(url);
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
  return Object.assign(page, { complaints });
}

/**
 * A request that the page's SDK signed and then held back: an attacker with a grip on the page could take it along.
 * @returns {Promise<{method: string, url: string, headers: Record<string, string>, body?: string}>}
 */
export function hold(page, path, { tool = 'places', method = 'GET', body } = {}) {
  return page.evaluate(
    async ({ path, tool, method, body }) => {
      const { createClient } = await import('/bmap-auth/index.js');
      const { issuer } = await (await fetch('/settings.json')).json();
      const ticket = (id) => fetch(`/bmap-ticket?tool=${id}`, { method: 'POST' }).then((answer) => answer.text());
      let held;
      const onSigned = ({ method, url, headers }) => {
        held = { method, url, headers };
        throw new Error('held back');
      };
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      await createClient({ issuer, ticket, onSigned }).tool(tool).fetch(path, { method, headers, body }).catch((fault) => {
        if (!held) throw fault;
      });
      return { ...held, body };
    },
    { path, tool, method, body },
  );
}

/** Sends a request from the page with the browser's own fetch, under the page's origin. */
export function sendFrom(page, { method, url, headers, body }) {
  return page.evaluate(
    async ({ method, url, headers, body }) => {
      const answer = await fetch(url, { method, headers, body, cache: 'no-store', credentials: 'omit' });
      return { status: answer.status, code: (await answer.json()).code };
    },
    { method, url, headers, body },
  );
}

/** Searches as a visitor does and gives the first result's name. */
export async function search(page, text) {
  await page.evaluate(() => document.querySelector('#results').replaceChildren());
  await page.fill('#query', text);
  await page.press('#query', 'Enter');
  await page.waitForSelector('#results .name');
  return page.innerText('#results .name >> nth=0');
}

/** Clicks the chosen result once more, for what is near it, and gives the summary. */
export async function nearby(page) {
  await page.click('#results button[aria-current="true"]');
  await page.waitForFunction(() => document.querySelector('#summary').textContent.includes('within'));
  return page.innerText('#summary');
}

/** What the panel says of each request, newest first. */
export function verdicts(page) {
  return page.locator('#history li span:last-child').allInnerTexts();
}
