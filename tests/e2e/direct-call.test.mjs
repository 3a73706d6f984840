// The same tool without a page: examples/direct-call, run as its README says.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BIN, startStack } from './lib/stack.mjs';

const HERE = fileURLToPath(new URL('../../examples/direct-call', import.meta.url));
const run = promisify(execFile);

let stack;
before(async () => (stack = await startStack()));
after(() => stack?.stop());

const SCRIPTS = [['call.sh', ['bash', 'call.sh']], ['call.mjs', [process.execPath, 'call.mjs']]];

const call = ([program, ...args], secret = stack.key.secret) =>
  run(program, args, {
    cwd: HERE,
    env: { PATH: process.env.PATH, BMAP: join(BIN, 'bmap'), BMAP_ISSUER: stack.issuer, BMAP_KEY_ID: stack.key.id, BMAP_KEY_SECRET: secret },
  });

for (const [name, command] of SCRIPTS) {
  test(`${name} searches and looks near, as a server and from no origin`, async () => {
    const before = await stack.tool.entered();
    const { stdout } = await call(command);
    const [found, near] = stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(found.results[0].name, 'Sofia');
    assert.equal(near.results.length, 3);
    assert.deepEqual(found.caller, { user: stack.user.id, assurance: 'server' });
    assert.equal(await stack.tool.entered(), before + 2);
  });

  test(`${name} with a wrong secret fails, and says why`, async () => {
    const before = await stack.tool.entered();
    const wrong = `${stack.key.secret.slice(0, 10)}${stack.key.secret[10] === 'A' ? 'B' : 'A'}${stack.key.secret.slice(11)}`;
    const failure = await call(command, wrong).then(() => assert.fail('it worked'), (fault) => fault);
    assert.notEqual(failure.code, 0);
    assert.match(failure.stdout + failure.stderr, /invalid_credentials|bad_options/);
    assert.equal(await stack.tool.entered(), before);
  });
}
