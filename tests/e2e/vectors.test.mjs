// The known answers of the profile, both ends of it, in the WebAssembly of a real browser. `cargo xtask test` builds the runner;
// by hand: `cargo xtask wasm vectors`.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from './lib/browser.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const VECTORS = process.env.BMAP_VECTORS ?? join(ROOT, 'vectors/bmap-1');
const BUILT = process.env.BMAP_VECTORS_WASM ?? join(ROOT, 'target/vectors-wasm');
const NAMES = ['keys', 'requests', 'refusals', 'capability'];
const FILES = {
  '/glue.js': ['text/javascript', join(BUILT, 'vectors-glue.js')],
  '/vectors.wasm': ['application/wasm', join(BUILT, 'vectors.wasm')],
  ...Object.fromEntries(NAMES.map((name) => [`/${name}.json`, ['application/json', join(VECTORS, `${name}.json`)]])),
};

let server;
let browser;

before(async () => {
  server = createServer(async (request, response) => {
    if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>vectors</title>');
    if (!FILES[request.url]) return response.writeHead(404).end();
    const [type, file] = FILES[request.url];
    try {
      response.writeHead(200, { 'content-type': type }).end(await readFile(file));
    } catch (fault) {
      response.writeHead(500).end(String(fault));
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.close();
});

test('vectors: all known answers hold in Chromium', async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const { passed, failed } = await page.evaluate(async (names) => {
    const { glue } = await import('/glue.js');
    const runner = glue();
    const module = await WebAssembly.compileStreaming(fetch('/vectors.wasm'));
    runner.finish(await WebAssembly.instantiate(module, runner.imports()), module);
    const files = await Promise.all(names.map((name) => fetch(`/${name}.json`).then((answer) => answer.text())));
    return runner.runVectors(...files);
  }, NAMES);
  assert.deepEqual(failed, []);
  // A runner that skips some has not passed.
  const cases = async (name) => JSON.parse(await readFile(join(VECTORS, `${name}.json`), 'utf8'));
  const [requests, refusals] = [await cases('requests'), await cases('refusals')];
  assert.ok(requests.length > 0 && refusals.length > 0);
  for (const { name } of requests) assert.ok(passed.includes(`sign ${name}`) && passed.includes(`accept ${name}`), name);
  for (const { name } of refusals) assert.ok(passed.includes(`refuse ${name}`), name);
});
