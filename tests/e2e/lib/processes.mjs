// Starting the real programs and ending them: by id, each with an environment of its own, each with its log in a file.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 30_000;

/** Programs that belong together and end together. */
export class Processes {
  #children = [];
  #folder;

  constructor(folder) {
    this.#folder = folder;
    // However this process ends, its children end before it. A signal without a listener of another module would skip that.
    process.once('exit', () => this.#children.forEach(({ child }) => child.kill('SIGKILL')));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.once(signal, () => process.listenerCount(signal) === 0 && process.exit(1));
    }
  }

  /**
   * Starts a program and waits until `ready` holds.
   * @param {string} name for the log and for errors
   * @param {string[]} command program and arguments
   * @param {{env?: Record<string, string>, cwd?: string, input?: string, ready: (output: string) => unknown | Promise<unknown>}} options
   *   `input` is what it reads, and then no end; `ready` gets all output so far, and is asked until it gives something
   * @returns what `ready` gave, as `found`, and `stop`
   */
  async start(name, [program, ...args], { env = {}, cwd, input, ready }) {
    // Only what is named here: a stray BMAP_ variable of the caller's would be an unknown key to the server.
    const child = spawn(program, args, {
      cwd,
      env: { PATH: process.env.PATH, HOME: this.#folder, ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    child.stdin?.write(input);
    const log = createWriteStream(join(this.#folder, `${name}.log`), { flags: 'a' });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        // The first lines hold the addresses; a long run must not grow this process.
        if (output.length < 65_536) output += text;
        log.write(text);
      });
    }
    const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
    const entry = { child, ended };
    this.#children.push(entry);
    let gone = false;
    ended.then(() => (gone = true));
    for (const deadline = performance.now() + START_LIMIT_MS; performance.now() < deadline; await sleep(25)) {
      if (gone) throw new Error(`${name} ended at its start:\n${output}`);
      const found = await ready(output);
      if (found) return { found, stop: () => end(entry) };
    }
    throw new Error(`${name} was not ready in ${START_LIMIT_MS} ms:\n${output}`);
  }

  /** Asks all to end, the last started first, and waits. */
  async stop() {
    for (const entry of this.#children.reverse()) await end(entry);
    this.#children = [];
  }
}

/** Asks one program to end and waits; if it does not listen, it is killed. */
async function end({ child, ended }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(late);
}

/** A loopback port that is free now. Addresses must be known before the programs that bear them start. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
