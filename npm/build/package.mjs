// dist → bmap-auth.tgz, installed for the tests: what is tested is what people get.
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';

const run = (...args) => execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const [packed] = JSON.parse(run('pack', '--json', '--loglevel=error'));
renameSync(packed.filename, 'bmap-auth.tgz');
rmSync('test/node_modules', { recursive: true, force: true });
run('install', '--prefix', 'test', '--no-save', '--no-package-lock', '--loglevel=error', './bmap-auth.tgz');
console.log(`npm: bmap-auth.tgz, ${packed.files.length} files, ${packed.size} bytes`);
