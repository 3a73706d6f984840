// The tarball as people get it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const dist = dirname(fileURLToPath(import.meta.resolve('@bmap/auth')));
const manifest = JSON.parse(readFileSync(join(dist, '../package.json'), 'utf8'));
const scripts = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith('.js'));
const read = (name) => readFileSync(join(dist, name), 'utf8');

test('this is the packed package and not the folder beside it', () => {
  assert.match(dist, /test\/node_modules\/@bmap\/auth\/dist$/);
  assert.ok(!statSync(join(dist, '..')).isSymbolicLink());
});

test('it depends on nothing and runs nothing when it is installed', () => {
  for (const part of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundleDependencies']) assert.equal(manifest[part], undefined);
  for (const script of ['install', 'preinstall', 'postinstall', 'prepare']) assert.equal(manifest.scripts?.[script], undefined);
  assert.equal(manifest.type, 'module');
  assert.equal(manifest.sideEffects, false);
});

test('no way of loading that breaks in bundlers or under a policy', () => {
  assert.ok(scripts.length >= 8, scripts.join());
  for (const name of scripts) {
    assert.doesNotMatch(read(name), /import\.meta|new Function|\beval\(|new WebAssembly\.(Module|Instance)|compileStreaming|\brequire\(/, name);
  }
  assert.doesNotMatch(read('index.js') + read('chunks/core.js'), /node:/);
});

test('no path of the machine that built it', () => {
  for (const name of ['sdk.wasm', 'direct.wasm']) {
    const text = readFileSync(join(dist, name), 'latin1');
    assert.doesNotMatch(text, /\.cargo|\/home\/|\/root\/|registry\/src/, name);
  }
  const inlined = Buffer.from(/'([0-9a-f]+)'|`([0-9a-f]+)`|"([0-9a-f]+)"/.exec(read('chunks/inspect-bytes.js')).slice(1).find(Boolean), 'hex').toString('latin1');
  assert.doesNotMatch(inlined, /\.cargo|\/home\/|\/root\/|registry\/src/);
});

test('the inlined module is the file that ./wasm names', () => {
  const inlined = /[0-9a-f]{1000,}/.exec(read('chunks/sdk-bytes.js'))[0];
  assert.equal(inlined, readFileSync(fileURLToPath(import.meta.resolve('@bmap/auth/wasm'))).toString('hex'));
});

test('nothing happens at import', async () => {
  const before = Object.keys(globalThis).length;
  const compile = WebAssembly.compile;
  WebAssembly.compile = () => assert.fail('compiled at import');
  await import('@bmap/auth');
  await import('@bmap/auth/inspect');
  WebAssembly.compile = compile;
  assert.equal(Object.keys(globalThis).length, before);
});

test('the page is not made to load what only a backend or a panel needs', () => {
  const text = read('index.js') + read('chunks/core.js');
  for (const name of ['direct', 'inspect-']) assert.doesNotMatch(text, new RegExp(`(?:from|import)\\s*["'\`]\\./chunks/${name}`), name);
  assert.ok(!readFileSync(join(dist, 'sdk.wasm'), 'latin1').includes('api-sign'), 'no key derivation from API secrets');
});

test('edge platforms import compiled modules', () => {
  assert.match(read('index.workerd.js'), /from\s*["'`]\.\/sdk\.wasm["'`]/);
  assert.match(read('index.edge-light.js'), /from\s*["'`]\.\/sdk\.wasm\?module["'`]/);
  for (const name of ['index.workerd.js', 'index.edge-light.js']) assert.doesNotMatch(read(name), /[0-9a-f]{1000,}/);
});

test('licences and readme are in it', () => {
  for (const name of ['README.md', 'LICENSE-MIT', 'LICENSE-APACHE']) assert.ok(statSync(join(dist, '..', name)).size > 500, name);
});
