// The package in runtimes other than Node and the browser: the real ones where npm has them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { listen, startWorld } from './world.mjs';

const dist = dirname(fileURLToPath(import.meta.resolve('@bmap/auth')));
const modules = fileURLToPath(new URL('../node_modules', import.meta.url));

/** A program that npm has for this machine. */
function binary(scope, name) {
  const folder = readdirSync(join(modules, scope)).find((each) => existsSync(join(modules, scope, each, 'bin', name)));
  assert.ok(folder, `npm has no ${name} for this machine`);
  return join(modules, scope, folder, 'bin', name);
}

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'bmap-runtime-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs a program to its end. */
function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.once('close', (status) => resolve({ status, output }));
  });
}

for (const date of ['2023-08-01', '2026-11-01']) {
  test(`u16 Cloudflare Workers sign, in workerd with the compatibility date ${date}`, async (t) => {
    const world = await startWorld(t);
    const target = await listen(t, (request, response) => response.end());
    const path = folder(t);
    const port = new URL(target.url).port;
    await new Promise((resolve) => target.server.close(resolve)); // a port that is free
    for (const name of ['index.workerd.js', 'sdk.wasm', 'direct.wasm']) writeFileSync(join(path, name), readFileSync(join(dist, name)));
    writeFileSync(join(path, 'worker.js'), `
      import { createClient } from './index.workerd.js';
      const tickets = ${JSON.stringify([world.ticket(), world.ticket()])};
      const bmap = createClient({ issuer: ${JSON.stringify(world.issuer)}, ticket: () => tickets.pop() });
      export default { async fetch(request) {
        const { pathname } = new URL(request.url);
        try {
          const places = bmap.tool('places');
          const answer = pathname === '/post' ? await places.fetch('/v1/x', { method: 'POST', body: new URLSearchParams({ a: 'b' }) })
            : pathname === '/pass' ? await places.fetch(new Request(${JSON.stringify(world.tool)} + '/pass', request))
            : await places.fetch(pathname);
          return new Response(answer.status + ' ' + (await answer.text()));
        } catch (error) {
          return new Response(error.code + ': ' + error.message + ' ' + error.cause);
        }
      } };`);
    writeFileSync(join(path, 'config.capnp'), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (compatibilityDate = "${date}", globalOutbound = "any", modules = [
      (name = "worker.js", esModule = embed "worker.js"),
      (name = "index.workerd.js", esModule = embed "index.workerd.js"),
      (name = "sdk.wasm", wasm = embed "sdk.wasm"),
      (name = "direct.wasm", wasm = embed "direct.wasm"),
    ])),
    (name = "any", network = (allow = ["local", "public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);`);
    const child = spawn(binary('@cloudflare', 'workerd'), ['serve', join(path, 'config.capnp')], { stdio: ['ignore', 'inherit', 'inherit'] });
    t.after(() => child.kill());
    const ask = async (way, init) => {
      for (let tries = 0; ; tries++) {
        try {
          return await (await fetch(`${target.url}${way}`, init)).text();
        } catch (error) {
          if (tries === 100) throw error;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    };
    assert.match(await ask('/v1/search'), /^200 .*"\/v1\/search"/);
    assert.match(await ask('/post'), /^200 .*"body":"a=b"/);
    assert.match(await ask('/pass', { method: 'PUT', body: 'passed on' }), /^200 .*"PUT".*"body":"passed on"/);
    world.handler = (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
    assert.match(await ask('/v1/moved'), /^redirect_refused/);
    assert.deepEqual(world.log.tool.map(({ fault }) => fault), [undefined, undefined, undefined, undefined]);
  });
}

test('Bun signs', async (t) => {
  const world = await startWorld(t);
  const path = folder(t);
  mkdirSync(join(path, 'home'));
  writeFileSync(join(path, 'page.mjs'), `
    import { createClient } from ${JSON.stringify(join(dist, 'index.js'))};
    const places = createClient({ issuer: ${JSON.stringify(world.issuer)}, ticket: () => ${JSON.stringify(world.ticket())} }).tool('places');
    const form = new FormData();
    form.set('file', new Blob(['x']), 'x');
    for (const [address, init] of [['/v1/x'], ['/p', { method: 'POST', body: 'text' }], ['/f', { method: 'POST', body: form }], ['/s', { method: 'POST', body: new Blob(['s']).stream() }]]) {
      console.log((await places.fetch(address, init)).status);
    }
    await places.fetch(new Request(${JSON.stringify(`${world.tool}/r`)}, { method: 'PUT', body: 'r' })).then(({ status }) => console.log(status));
  `);
  const { output } = await run(binary('@oven', 'bun'), [join(path, 'page.mjs')], { env: { PATH: process.env.PATH, HOME: join(path, 'home') } });
  assert.equal(output, '200\n'.repeat(5));
  assert.deepEqual(world.log.tool.map(({ fault }) => fault), Array(5).fill(undefined));
});

test('a module that another realm compiled is one, as on edge runtimes', async (t) => {
  const world = await startWorld(t);
  const bytes = readFileSync(join(dist, 'sdk.wasm'));
  const path = folder(t);
  // The edge build, with the modules that it imports made in another realm.
  globalThis.foreign = vm.runInNewContext('new WebAssembly.Module(bytes)', { bytes });
  t.after(() => delete globalThis.foreign);
  assert.ok(!(globalThis.foreign instanceof WebAssembly.Module));
  const text = readFileSync(join(dist, 'index.edge-light.js'), 'utf8').replaceAll(/import (\w+) from\s*["']\.\/\w+\.wasm\?module["'];/g, 'const $1 = globalThis.foreign;');
  assert.doesNotMatch(text, /\?module/);
  writeFileSync(join(path, 'edge.mjs'), text);
  const { createClient, init } = await import(join(path, 'edge.mjs'));
  assert.equal((await createClient({ issuer: world.issuer, ticket: () => world.ticket() }).tool('places').fetch('/')).status, 200);
  const own = await import('@bmap/auth');
  await own.init({ wasm: globalThis.foreign });
  assert.equal((await own.createClient({ issuer: world.issuer, ticket: () => world.ticket() }).tool('places').fetch('/')).status, 200);
  // What else is told by its class.
  for (const wasm of [vm.runInNewContext('new Uint8Array(bytes)', { bytes: [...bytes] }), { ok: true, arrayBuffer: async () => new Uint8Array(bytes).buffer }]) {
    await init({ wasm });
    assert.equal((await createClient({ issuer: world.issuer, ticket: () => world.ticket() }).tool('places').fetch('/')).status, 200);
  }
});

test('u05 the entry for service workers has no import() and signs', async (t) => {
  const text = readFileSync(join(dist, 'static.js'), 'utf8');
  assert.doesNotMatch(text, /\bimport\s*[(.{*"'`]/, 'one file');
  const world = await startWorld(t);
  const { createClient } = await import('@bmap/auth/static');
  assert.equal((await createClient({ issuer: world.issuer, ticket: () => world.ticket() }).tool('places').fetch('/', { method: 'POST', body: new FormData() })).status, 200);
  const direct = createClient({ issuer: world.issuer, apiKey: { id: 'a', secret: 'b' } });
  await assert.rejects(direct.tool('places').fetch('/'), (error) => error.code === 'bad_options' && /static/.test(error.message));
});

test('a resolver that knows no exports finds every entry by main and module', () => {
  const root = join(dist, '..');
  for (const entry of ['.', 'inspect', 'static']) {
    const { main, module, types } = JSON.parse(readFileSync(join(root, entry, 'package.json'), 'utf8'));
    for (const file of [main, module, types]) assert.ok(existsSync(join(root, entry, file)), `${entry}: ${file}`);
    assert.equal(join(root, entry, main), fileURLToPath(import.meta.resolve(join('@bmap/auth', entry))));
  }
});

const consumer = (more) => `
import { BmapError, createClient, init, problemOf, type Client, type Problem, type WasmSource } from '@bmap/auth';
import { inspect } from '@bmap/auth/inspect';
import { createClient as whole } from '@bmap/auth/static';
const client: Client = createClient({ issuer: 'https://auth.example', ticket: async (tool: string) => ({ ticket: tool }) });
export const read = (error: BmapError): [string, number | undefined] => [error.code, error.retryAfter];
export const bytes: WasmSource = new Uint8Array(1);
export async function call(): Promise<Problem | undefined> {
  await init({ wasm: bytes });
  const answer = await client.tool('places').fetch('/v1/x', { method: 'POST', body: 'x' });
  await inspect({ method: 'GET', url: 'https://a.example/', headers: {} });
  client.close();
  return problemOf(answer);
}
export { whole };
${more}
`;
const dom = `
export const dropIn: typeof fetch = client.tool('places').fetch;
export const status = (): Promise<number> => client.tool('places').fetch(new URL('https://a.example'), { signal: AbortSignal.timeout(1) }).then((answer) => answer.status);
`;

for (const [name, compiler] of [['5.4', 'typescript-5.4/bin/tsc'], ['current', 'typescript/bin/tsc']]) {
  test(`tsc --strict without skipLibCheck, TypeScript ${name}`, async (t) => {
    const path = join(fileURLToPath(new URL('.', import.meta.url)), `node_modules/.types-${name}-${process.pid}`);
    mkdirSync(path, { recursive: true });
    t.after(() => rmSync(path, { recursive: true, force: true }));
    const cases = [];
    for (const [kind, lib, more] of [['dom', ['es2022', 'dom', 'dom.iterable'], dom], ['worker', ['es2022', 'webworker'], dom], ['none', ['es2022'], '']]) {
      for (const [module, moduleResolution] of [['nodenext', 'nodenext'], ['es2022', 'bundler'], ...(name === '5.4' ? [['es2022', 'node10']] : [])]) cases.push([kind, lib, more, module, moduleResolution]);
    }
    for (const [kind, lib, more, module, moduleResolution] of cases) {
      writeFileSync(join(path, 'package.json'), '{"type":"module"}');
      writeFileSync(join(path, 'consumer.ts'), consumer(more));
      const compilerOptions = { target: 'es2022', lib, module, moduleResolution, strict: true, exactOptionalPropertyTypes: true, noEmit: true, types: [], skipLibCheck: false };
      writeFileSync(join(path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
      const { status, output } = await run(process.execPath, [join(modules, compiler), '-p', path]);
      assert.equal(status, 0, `${kind} ${moduleResolution}: ${output}`);
    }
  });
}
