// An issuer and a tool as real servers on loopback, written from the profile alone: what they check, they check with node:crypto.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

/** Starts an issuer and a tool. Everything that a test changes is a property; `log` holds what arrived. */
export async function startWorld(t, { life = 300, skew = 0 } = {}) {
  const world = {
    life,
    /** Milliseconds that the servers' clock is ahead of this machine's. */
    skew,
    now: () => Date.now() + world.skew,
    tickets: new Set(),
    /** Access tokens of people who are signed in, and the API key that registered the page. */
    users: new Set(),
    clientId: `bmk_${'0'.repeat(32)}`,
    tokens: new Map(),
    log: { token: [], tool: [] },
    /** Refusals to give out before anything is looked at: `{ status, code, headers }`. */
    issuerRefuses: [],
    toolRefuses: [],
    /** What the tool does with a request that it let in. */
    handler: (request, response, body) => response.end(JSON.stringify({ method: request.method, url: request.url, body: body.toString() })),
    ticket: () => {
      const ticket = `bmt_${randomBytes(32).toString('base64url')}`;
      world.tickets.add(ticket);
      return ticket;
    },
  };
  const issuer = await listen(t, (request, response, body) => answerToken(world, request, response, body));
  const tool = await listen(t, (request, response, body) => answerTool(world, request, response, body));
  world.issuer = issuer.url;
  world.tool = tool.url;
  return world;
}

/** A server that is stopped when the test ends. */
export async function listen(t, handle) {
  const server = createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => handle(request, response, Buffer.concat(parts)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

function answerToken(world, request, response, body) {
  const form = new URLSearchParams(body.toString());
  const entry = { form: Object.fromEntries(form), headers: request.headers, at: Date.now() };
  world.log.token.push(entry);
  const refusal = world.issuerRefuses.shift();
  if (refusal) return refuse(world, response, refusal);
  if (form.get('subject_token_type') === 'urn:bmap:token-type:ticket') {
    if (!world.tickets.delete(form.get('subject_token'))) return refuse(world, response, { status: 400, code: 'invalid_grant' });
  } else if (world.users.has(form.get('subject_token'))) {
    if (request.headers.authorization || form.get('client_id') !== world.clientId) return refuse(world, response, { status: 403, code: 'origin_denied' });
  } else if (form.get('subject_token_type')) {
    const known = world.tokens.get(form.get('subject_token'));
    const fault = known ? faultOf(world, request, body, known) : 'invalid_token';
    if (fault) return refuse(world, response, { status: 401, code: fault });
  } else if (world.apiKey) {
    const basic = `Basic ${Buffer.from(`${world.apiKey.id}:${world.apiKey.secret}`).toString('base64')}`;
    const fault = request.headers.authorization === basic ? undefined : faultOf(world, request, body, world.apiKey);
    if (fault) return refuse(world, response, { status: 401, code: fault });
  } else return refuse(world, response, { status: 401, code: 'invalid_credentials' });
  const token = `${randomBytes(40).toString('base64url')}.${randomBytes(300).toString('base64url')}.${randomBytes(64).toString('base64url')}`;
  const known = { id: randomBytes(16).toString('base64url'), key: randomBytes(32), ends: world.now() + world.life * 1000, token };
  world.tokens.set(token, known);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(
    JSON.stringify({
      access_token: token,
      token_type: 'HTTPSig',
      expires_in: world.life,
      scope: '',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      signing_key: known.key.toString('base64url'),
      key_id: known.id,
      tool: { id: form.get('audience'), base_url: world.baseUrl ?? world.tool },
      server_time: world.now(),
      ...world.answer,
    }),
  );
}

function answerTool(world, request, response, body) {
  const token = request.headers.authorization?.replace(/^HTTPSig /, '');
  const known = world.tokens.get(token);
  const fault = known ? faultOf(world, request, body, known) : 'missing_signature';
  world.log.tool.push({ method: request.method, url: request.url, headers: request.headers, body, fault, token });
  const refusal = world.toolRefuses.shift() ?? (fault && { status: fault === 'malformed_request' ? 400 : 401, code: fault });
  return refusal ? refuse(world, response, refusal) : world.handler(request, response, body);
}

function refuse(world, response, { status, code, headers = {}, body = {} }) {
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    ...(status === 401 || status === 403 ? { 'www-authenticate': `HTTPSig error="${code}"` } : {}),
    ...headers,
  });
  response.end(JSON.stringify({ type: 'about:blank', title: code, status, code, request_id: 'req-1', server_time: world.now(), ...body }));
}

const seen = new Set();

/** Headers that give a request another method or path (profile §4). */
const OVERRIDES = ['x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-url', 'x-rewrite-url'];

/** What a verifier finds wrong with a request; `undefined` if nothing. */
function faultOf(world, request, body, { id, key, ends, token }) {
  const input = /^bmap=(\(([^)]*)\);created=(\d+);nonce="([\w-]{22})";keyid="([^"]+)";tag="bmap-1")$/.exec(request.headers['signature-input'] ?? '');
  if (!input) return 'missing_signature';
  const [, params, list, created, nonce, keyId] = input;
  const covered = [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1]);
  const age = world.now() / 1000 - Number(created);
  if (age > 60 || age < -5) return 'clock_skew';
  const uncovered = Object.keys(request.headers).filter((name) => !covered.includes(name));
  if (uncovered.some((name) => OVERRIDES.includes(name.replaceAll(/[_.]/g, '-')))) return 'malformed_request';
  const ofBody = body.length ? ['content-digest', ...['content-type', 'content-encoding'].filter((name) => name in request.headers)] : [];
  const wanted = ['@method', '@authority', '@path', '@query', ...(token ? ['authorization'] : []), ...ofBody];
  if (wanted.some((name) => !covered.includes(name))) return 'insufficient_coverage';
  const [path, query = ''] = request.url.split(/\?(.*)/s);
  const derived = { '@method': request.method, '@authority': request.headers.host, '@path': path, '@query': `?${query}` };
  const lines = covered.map((name) => `"${name}": ${derived[name] ?? request.headers[name]}\n`);
  const mac = createHmac('sha256', key).update(`${lines.join('')}"@signature-params": ${params}`).digest('base64');
  if (keyId !== id || request.headers.signature !== `bmap=:${mac}:`) return 'invalid_signature';
  if (ends < world.now()) return 'token_expired';
  const digest = createHash('sha256').update(body).digest('base64');
  if (body.length && request.headers['content-digest'] !== `sha-256=:${digest}:`) return 'digest_mismatch';
  if (seen.has(nonce)) return 'replayed';
  seen.add(nonce);
  return undefined;
}
