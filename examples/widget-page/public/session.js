// The page's use of @bmap/auth. The first ten lines are all that a page needs; the rest is for the panel and the cheating buttons.

import { createClient } from '/bmap-auth/index.js';

export function openSession({ issuer, tool }, onRecord) {
  const ticket = (id) => fetch(`/bmap-ticket?tool=${id}`, { method: 'POST' }).then((answer) => answer.text());
  const bmap = createClient({ issuer, ticket, onSigned, fetch: watched });
  const places = bmap.tool(tool);

  const signed = new Map();
  const lives = new Map();
  let firstUse = () => {};

  function onSigned(event) {
    firstUse(event.url);
    firstUse = () => {};
    signed.set(event.headers.signature, event);
  }

  // The SDK sends through this; what it had signed becomes a record together with the answer.
  async function watched(input, init) {
    const event = signed.get(new Headers(init?.headers).get('signature'));
    if (!event) return fetch(input, init);
    signed.delete(event.headers.signature);
    return observe(event, () => fetch(input, init));
  }

  async function observe(event, go) {
    const start = performance.now();
    const record = { ...event, signMicros: event.microseconds, claims: claimsOf(event.headers.authorization), code: 'no answer' };
    try {
      const answer = await go();
      record.status = answer.status;
      record.code = answer.ok ? null : (await answer.clone().json().catch(() => ({}))).code;
      return answer;
    } finally {
      record.networkMillis = performance.now() - start;
      onRecord(record);
    }
  }

  // Read for display only: what a token is worth is the verifier's to say.
  function claimsOf(authorization = '') {
    const payload = authorization.split('.')[1];
    if (!payload) return null;
    const claims = JSON.parse(new TextDecoder().decode(bytesOf(payload)));
    // Counted on the page's monotonic clock from when the token was first seen, so that a wrong clock does not matter.
    if (!lives.has(claims.jti)) lives.set(claims.jti, performance.now() + (claims.exp - claims.iat) * 1000);
    return { ...claims, expiresAt: lives.get(claims.jti) };
  }

  // For the cheating buttons: a client whose requests are signed and then held back.
  const held = createClient({
    issuer,
    ticket,
    onSigned(event) {
      throw new Held(event);
    },
  });

  return {
    fetch: (path, init) => places.fetch(path, init),
    onFirstUse: (callback) => (firstUse = callback),

    /** A request as the SDK would send it, without sending it. */
    async signOnly(path, init = {}, id = tool) {
      try {
        await held.tool(id).fetch(path, init);
      } catch (fault) {
        if (fault instanceof Held) return { ...fault.event, body: init.body };
        throw fault;
      }
      throw new Error('the request was sent');
    },

    /** Sends bytes as they are, with the browser's own fetch. */
    async send({ url, method, headers, body, ...event }) {
      const init = { method, headers, body, cache: 'no-store', credentials: 'omit' };
      const answer = await observe({ ...event, url, method, headers }, () => fetch(url, init));
      const problem = answer.ok ? {} : await answer.json();
      return { status: answer.status, code: problem.code, title: problem.title };
    },
  };
}

class Held extends Error {
  constructor(event) {
    super('held back');
    this.event = event;
  }
}

function bytesOf(base64url) {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
