// Signing in with an OpenID provider as a visitor does it: issuer, page and provider on three sites, each a name of its own of
// this machine, with or without TLS.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, Processes } from './processes.mjs';
import { BIN } from './stack.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SECRET = 'the secret of the issuer at the provider, which lives for one test';

/** @param {{tls: boolean}} options */
export async function startSignIn({ tls }) {
  const folder = mkdtempSync(join(tmpdir(), 'bmap-e2e-'));
  const processes = new Processes(folder);
  const servers = [];
  const stop = async () => {
    for (const server of servers) server.close().closeAllConnections();
    await processes.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await raise(processes, servers, folder, tls)), stop };
  } catch (fault) {
    await stop();
    throw fault;
  }
}

async function raise(processes, servers, folder, tls) {
  const files = tls && certificates(folder);
  const serve = async (handler) => {
    const pem = files && readFileSync(files.leaf);
    const server = pem ? createTlsServer({ key: pem, cert: pem }, handler) : createServer(handler);
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    servers.push(server);
    return server.address().port;
  };
  const scheme = tls ? 'https' : 'http';
  const listen = await freePort();
  // The issuer ends no TLS itself: something before it does.
  const issuer = `${scheme}://auth.localhost:${tls ? await serve(passOn(listen)) : listen}`;
  const assets = new Map();
  const asked = [];
  const port = await serve((question, answer) => {
    asked.push(`${question.url} ${question.headers.referer ?? ''}`);
    const [type, text] = assets.get(question.url.split('?')[0]) ?? ['text/plain', ''];
    answer.writeHead(text ? 200 : 404, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
  });
  assets.set('/', ['text/html', '<!doctype html><title>Shop</title><link rel="icon" href="data:,"><h1>Shop</h1>']);
  assets.set('/sign-in.mjs', ['text/javascript', documented(issuer)]);
  const page = { url: `${scheme}://shop.localhost:${port}/`, otherUrl: `${scheme}://other.localhost:${port}/`, asked };

  const provider = await processes.start('provider', [process.execPath, 'provider.mjs', 'localhost', ...(tls ? [files.leaf] : [])], {
    cwd: join(ROOT, 'tests/openid'),
    input: `${JSON.stringify({
      clients: [{
        client_id: 'bmap',
        client_secret: SECRET,
        redirect_uris: [`${issuer}/auth/openid/acme/callback`],
        id_token_signed_response_alg: 'ES256',
      }],
    })}\n`,
    ready: (output) => output.includes('ready') && /^issuer (\S+)$/m.exec(output)[1],
  });
  const direct = `http://127.0.0.1:${listen}`;
  await processes.start('issuer', [join(BIN, 'bmap'), 'serve'], {
    env: {
      BMAP_DATA_DIR: join(folder, 'issuer'),
      BMAP_LISTEN: `127.0.0.1:${listen}`,
      BMAP_ISSUER: issuer,
      BMAP_DEVELOPMENT: 'true', // the links that accounts begin with go to the log
      BMAP_SIGN_IN_ORIGINS: new URL(page.url).origin,
      BMAP_OPENID_ACME_ISSUER: provider.found,
      BMAP_OPENID_ACME_CLIENT_ID: 'bmap',
      BMAP_OPENID_ACME_CLIENT_SECRET: SECRET,
      ...(tls && { BMAP_OPENID_ACME_CA_FILE: files.ca }),
    },
    ready: () => fetch(`${direct}/readyz`).then(({ ok }) => ok, () => false),
  });
  return { issuer, page, provider: provider.found, account: (email) => account(direct, join(folder, 'issuer.log'), email) };
}

/** The page's script as docs/openid.md has it, for this issuer. */
function documented(issuer) {
  const text = readFileSync(join(ROOT, 'docs/openid.md'), 'utf8');
  const [, script] = /```js\n(.*?)```/s.exec(text);
  return script.replace("'https://auth.shop.example'", JSON.stringify(issuer));
}

/** A user with a password, signed in by the page's own backend: issuer and visitor share no page that could do it. */
async function account(issuer, log, email) {
  const password = 'violet-kettle-49-marsh';
  const post = async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(issuer + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  await post('/auth/register', { email, password });
  let token;
  for (let tries = 0; !token && tries < 400; tries++, await sleep(25)) token = readFileSync(log, 'utf8').match(/bmc_[\w-]{43}/g)?.at(-1);
  await post('/auth/confirm', { token, password });
  return post('/auth/login', { email, password });
}

function passOn(port) {
  return (question, answer) => {
    const { method, url, headers } = question;
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.rawHeaders);
      reply.pipe(answer);
    });
    onward.once('error', () => answer.destroy());
    question.pipe(onward);
  };
}

/** An authority of the test's own, and a certificate of its for every name here. */
function certificates(folder) {
  const file = (name) => join(folder, name);
  const names = ['auth.localhost', 'shop.localhost', 'other.localhost', 'localhost'].map((name) => `DNS:${name}`);
  writeFileSync(file('openssl.cnf'), `[req]\ndistinguished_name = dn\n[dn]\n[ca]\nbasicConstraints = critical,CA:TRUE
[leaf]\nbasicConstraints = CA:FALSE\nsubjectAltName = ${names.join()}\n`);
  const certify = (name, ...how) => execFileSync('openssl', [
    ...['req', '-x509', '-config', file('openssl.cnf'), '-extensions', name, '-subj', `/CN=${name}`, '-days', '2', '-nodes'],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), ...how],
  ], { stdio: 'pipe' });
  certify('ca');
  certify('leaf', '-CA', file('ca.crt'), '-CAkey', file('ca.key'));
  writeFileSync(file('leaf.pem'), ['crt', 'key'].map((end) => readFileSync(file(`leaf.${end}`), 'utf8')).join(''));
  return { ca: file('ca.crt'), leaf: file('leaf.pem') };
}
