// An attacker: a client without the SDK, that signs with `node:crypto` or not at all, and writes its own bytes.
//
// It is an implementation of the profile's signing side of its own, on purpose: what it gets let in with does not depend on ours.

import { createHash, createHmac, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

/** A direct token, got with the API key (`client_credentials`). */
export async function directToken({ issuer, key }, tool = 'places') {
  const answer = await fetch(`${issuer}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${key.id}:${key.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', audience: tool }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`no token: ${answer.status} ${body.code}`);
  return { text: body.access_token, key: Buffer.from(body.signing_key, 'base64url'), id: body.key_id };
}

// As far ahead as a signature may be: a tool that has just started takes nothing that may have been let in before its start.
const AHEAD = 5;

/**
 * A signed request as bytes and parts.
 * @param {{text: string, key: Buffer, id: string}} token
 * @param {{method?: string, url: string, body?: string, created?: number, headers?: Record<string, string>}} request
 */
export function sign(token, { method = 'GET', url, body, created = Math.floor(Date.now() / 1000) + AHEAD, headers = {} }) {
  const { host, pathname, search } = new URL(url);
  const fields = { authorization: `HTTPSig ${token.text}` };
  if (body !== undefined) {
    fields['content-type'] = 'application/json';
    fields['content-digest'] = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
  }
  const covered = { '@method': method, '@authority': host, '@path': pathname, '@query': search || '?', ...fields };
  const names = Object.keys(covered).map((name) => `"${name}"`).join(' ');
  const nonce = randomBytes(16).toString('base64url');
  const parameters = `(${names});created=${created};nonce="${nonce}";keyid="${token.id}";tag="bmap-1"`;
  const lines = Object.entries(covered).map(([name, value]) => `"${name}": ${value}`);
  const base = [...lines, `"@signature-params": ${parameters}`].join('\n');
  const signature = createHmac('sha256', token.key).update(base).digest('base64');
  return {
    method,
    url,
    body,
    headers: { ...headers, ...fields, 'signature-input': `bmap=${parameters}`, signature: `bmap=:${signature}:` },
  };
}

/** The request as it goes over the wire. */
export function bytesOf({ method, url, headers, body }) {
  const { host, pathname, search } = new URL(url);
  const length = body === undefined ? [] : [`content-length: ${Buffer.byteLength(body)}`];
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${pathname}${search} HTTP/1.1`, `host: ${host}`, 'connection: close', ...lines, ...length, '', body ?? ''].join('\r\n');
}

/** Sends it with Node's own fetch: status, and the code of a refusal. */
export async function send({ method, url, headers, body }) {
  const answer = await fetch(url, { method, headers, body });
  const content = await answer.json();
  return { status: answer.status, code: content.code };
}

/** Sends the same bytes on `copies` connections at once: all connect first, then all write. */
export async function sendCopies(bytes, url, copies) {
  const { hostname, port } = new URL(url);
  const sockets = await Promise.all(
    Array.from({ length: copies }, () => new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(socket)).once('error', reject).setNoDelay();
    })),
  );
  const answers = sockets.map(readAll);
  for (const socket of sockets) socket.write(bytes);
  return Promise.all(answers);
}

async function readAll(socket) {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]),
    code: /"code":"([a-z_]+)"/.exec(text)?.[1],
  };
}
