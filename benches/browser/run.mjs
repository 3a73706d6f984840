// Signing and digests in headless Chromium and in Node, and the sizes of what a page loads. Called by `cargo xtask bench`.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { measure } from './measure.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = fileURLToPath(new URL('../../npm/dist/', import.meta.url));
/** `cargo xtask wasm vectors`: not part of the package, it has the bare MAC. */
const vectors = fileURLToPath(new URL('../../target/vectors-wasm/', import.meta.url));
const FILES = {
  '/': { type: 'text/html', text: '<!doctype html><title>bench</title><script type="module" src="/page.mjs"></script>' },
  '/page.mjs': { file: `${here}page.mjs` },
  '/measure.mjs': { file: `${here}measure.mjs` },
  '/dpop.js': { file: `${here}node_modules/dpop/build/index.js` },
};

await sizes();
// Where the package changes from one to the other: `WEBCRYPTO_FROM`, for Node and for browsers.
const [, inNodeFrom, inPageFrom] = /WEBCRYPTO_FROM.*\? (\d+) : (\d+);/.exec(await readFile(`${here}../../npm/src/digest.ts`, 'utf8'));
print('Chromium', await inChromium(), Number(inPageFrom));
print('Node', await inNode(), Number(inNodeFrom));

async function sizes() {
  // What the package's entry loads by itself, and what the first request adds.
  const first = await reach('index.js');
  if (first.length < 2) throw new Error('index.js imports nothing: this reader of imports missed something');
  const all = [...first, 'chunks/engine.js', 'chunks/sdk-glue.js', 'chunks/sdk-bytes.js'];
  const weigh = async (names) => {
    const files = await Promise.all(names.map((name) => readFile(dist + name)));
    const sum = (pack) => files.reduce((total, file) => total + pack(file).length, 0);
    return { plain: sum((file) => file), gzip: sum(gzipSync), brotli: sum(brotliCompressSync) };
  };
  console.log('What a page loads, bytes (brotli, gzip, plain)');
  for (const [what, names, limit] of [['before the first use', first, 6000], ['the whole default path', all, 25000]]) {
    const { plain, gzip, brotli } = await weigh(names);
    console.log(`  ${what.padEnd(24)} ${brotli} ${gzip} ${plain}   limit ${limit} brotli: ${brotli <= limit ? 'held' : 'EXCEEDED'}`);
    if (brotli > limit) process.exitCode = 1;
  }
}

/** A module of the package and what it imports statically. */
async function reach(name, seen = new Set()) {
  if (seen.has(name)) return [...seen];
  seen.add(name);
  const text = await readFile(dist + name, 'utf8');
  for (const [, found] of text.matchAll(/(?:^|[;}])(?:import|export)\b[^()"'`]*["'`](\.[^"'`]+)["'`]/g)) {
    await reach(new URL(found, `file:///${name}`).pathname.slice(1), seen);
  }
  return [...seen];
}

async function inChromium() {
  const server = createServer(async (request, response) => {
    try {
      const path = new URL(request.url, 'http://localhost').pathname;
      const [, folder, name] = /^\/(auth|vectors)\/([\w./-]+)$/.exec(path) ?? [];
      const known = FILES[path] ?? (name && { file: (folder === 'auth' ? dist : vectors) + name });
      if (!known) return response.writeHead(404).end();
      const body = known.text ?? (await readFile(known.file));
      // Isolated, so that the page's clock ticks every 5 µs and not every 100.
      response.writeHead(200, {
        'content-type': known.type ?? 'text/javascript',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      });
      response.end(body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await chromium.launch({
    executablePath: process.env.BMAP_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(error));
    await page.goto(`http://localhost:${server.address().port}/`);
    await page.waitForFunction(() => globalThis.run);
    return await page.evaluate(() => globalThis.run());
  } finally {
    await browser.close();
    server.close();
  }
}

async function inNode() {
  const chunk = (name) => import(pathToFileURL(dist + name).href);
  const start = async (fresh, file) => {
    const module = await WebAssembly.compile(await readFile(file));
    fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
    return fresh;
  };
  const [auth, dpop, { glue }] = await Promise.all([chunk('index.js'), import('dpop'), chunk('chunks/sdk-glue.js')]);
  const { Mac } = await start((await import(pathToFileURL(`${vectors}vectors-glue.js`).href)).glue(), `${vectors}vectors.wasm`);
  return measure({ auth, glue: await start(glue(), `${dist}sdk.wasm`), Mac, dpop });
}

function print(where, report, from) {
  const us = ({ median, low, high }) => `${median.toFixed(2)} µs (${low.toFixed(2)}–${high.toFixed(2)})`;
  console.log(`\n${where}: one GET, a base of ${report.base} bytes; median (quartiles). A request takes milliseconds: signing is a small part of it.`);
  for (const [name, time] of Object.entries(report.sign)) console.log(`  ${name.padEnd(56)} ${us(time)}`);
  const [mac, webcrypto, sign, whole, stub, dpop] = Object.values(report.sign).map(({ median }) => median);
  const goal = (what, value, limit) => console.log(`  ${what.padEnd(56)} ${value.toFixed(3)}   goal ≤ ${limit}: ${value <= limit ? 'met' : 'MISSED'}`);
  goal("MAC of a GET / WebCrypto's", mac / webcrypto, 0.5);
  console.log(`  ${"all of sign / WebCrypto's HMAC alone".padEnd(56)} ${(sign / webcrypto).toFixed(3)}`);
  goal('whole signed GET / dpop proof', (whole - stub) / dpop, (1 / 12).toFixed(4));
  console.log(`${where}: Content-Digest, by size; WebCrypto is taken from ${from} bytes on`);
  for (const { size, wasm, webcrypto: subtle } of report.digest) {
    const ratio = (size < from ? wasm : subtle).median / Math.min(wasm.median, subtle.median);
    console.log(`  ${String(size).padStart(6)} B   WebAssembly ${us(wasm)}   WebCrypto ${us(subtle)}   taken: ${ratio.toFixed(2)} × the better${ratio > 1.15 ? ' TOO FAR' : ''}`);
  }
}
