// Signs and verifies requests with npm's http-message-signatures: a second implementation, to agree with.
//
// A list of jobs as JSON on standard input, a list of answers as JSON on standard output, as `oracle.py` has them.

import { createHash, createPrivateKey, createPublicKey, hkdfSync, randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';

const lp = (label) => {
  const bytes = Buffer.from(label);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};
const derive = (secret, label, id) => Buffer.from(hkdfSync('sha256', secret, 'bmap/1/api', Buffer.concat([lp(label), lp(id)]), 32));

/** Algorithm, key id, key to sign with, key to verify with. */
function keyOf(key) {
  if (key.signing_key) {
    const session = Buffer.from(key.signing_key, 'base64url');
    return { alg: 'hmac-sha256', id: key.key_id, own: session, theirs: session };
  }
  const secret = Buffer.from(key.secret.replace(/^bms_/, '').slice(0, 43), 'base64url');
  if (key.signing === 'ed25519') {
    // RFC 8410 §7: the seed, wrapped as PKCS #8.
    const seed = derive(secret, 'bmap/1/api-ed25519', key.id);
    const own = createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' });
    return { alg: 'ed25519', id: key.id, own, theirs: createPublicKey(own) };
  }
  const shared = derive(secret, 'bmap/1/api-sign', key.id);
  return { alg: 'hmac-sha256', id: key.id, own: shared, theirs: shared };
}

const digestOf = (body) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
const covered = (headers) => [
  '@method', '@authority', '@path', '@query',
  ...['authorization', 'content-type', 'content-digest'].filter((name) => name in headers),
];

async function sign({ method, url, headers, body, key }) {
  const { alg, id, own } = keyOf(key);
  if (body !== null) headers['content-digest'] = digestOf(body);
  const signed = await httpbis.signMessage(
    {
      key: createSigner(own, alg, id),
      name: 'bmap',
      params: ['created', 'nonce', 'keyid', 'tag'],
      paramValues: { created: new Date(), nonce: randomBytes(16).toString('base64url'), tag: 'bmap-1' },
      fields: covered(headers),
    },
    { method, url, headers },
  );
  return { headers: Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name.toLowerCase(), value])) };
}

async function verify({ method, url, headers, body, key }) {
  const { alg, id, theirs } = keyOf(key);
  if (body !== null && headers['content-digest'] !== digestOf(body)) return { verified: false, why: 'digest' };
  try {
    const verified = await httpbis.verifyMessage(
      {
        keyLookup: async ({ keyid, tag }) =>
          keyid === id && tag === 'bmap-1' ? { id, algs: [alg], verify: createVerifier(theirs, alg) } : null,
        requiredFields: covered(headers),
        requiredParams: ['created', 'nonce', 'keyid', 'tag'],
        maxAge: 600,
        all: true,
      },
      { method, url, headers },
    );
    return { verified: verified === true };
  } catch (fault) {
    return { verified: false, why: String(fault) };
  }
}

const jobs = JSON.parse(await text(process.stdin));
const answers = await Promise.all(jobs.map((job) => ({ sign, verify })[job.do](job)));
process.stdout.write(JSON.stringify(answers));
