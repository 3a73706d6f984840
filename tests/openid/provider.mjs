// npm `oidc-provider` as a process of its own: an OpenID provider whose login page takes any name.
//
//   node provider.mjs [HOST [PEM]]
//
// HOST is another name of this machine's loopback than `127.0.0.1`; PEM is a file with a certificate and its key, for TLS.
// Prints `issuer http://127.0.0.1:PORT`, reads one line of JSON, `{"clients": [...]}` (client metadata, OpenID Connect Dynamic
// Registration §2), and prints `ready`. It ends when its standard input does, so it does not outlive its parent.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createInterface } from 'node:readline';

// Its warnings say that all of this is for development, which it is.
console.warn = console.info = () => {};
const { default: Provider } = await import('oidc-provider');

// By way of PEM: Node 20 sometimes waits for itself for ever when a key that was just generated is exported as a JWK.
const pem = { privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } };
const key = (alg, type, how) => {
  const { privateKey } = generateKeyPairSync(type, { ...how, ...pem });
  return { ...createPrivateKey(privateKey).export({ format: 'jwk' }), alg, use: 'sig', kid: alg };
};
const keys = [
  key('RS256', 'rsa', { modulusLength: 2048 }),
  key('ES256', 'ec', { namedCurve: 'P-256' }),
  key('EdDSA', 'ed25519'),
];

const [host = '127.0.0.1', certificate] = process.argv.slice(2);
const tls = certificate && readFileSync(certificate);
const server = tls ? createTlsServer({ key: tls, cert: tls }) : createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `${tls ? 'https' : 'http'}://${host}:${server.address().port}`;
console.log(`issuer ${issuer}`);

const input = createInterface({ input: process.stdin });
input.once('close', () => process.exit(0));
const line = await new Promise((done) => input.once('line', done));

const provider = new Provider(issuer, {
  clients: JSON.parse(line).clients,
  jwks: { keys },
  cookies: { keys: ['not a secret: this provider lives for one test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  // The email goes into the ID token itself.
  conformIdTokenClaims: false,
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    // `ana` has a checked address, `ana?` one that is not checked.
    claims: () => ({ sub: id, email: `${id.replace('?', '')}@mail.example`, email_verified: !id.endsWith('?') }),
  }),
});
server.on('request', provider.callback());
console.log('ready');
