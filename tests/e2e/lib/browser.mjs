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
