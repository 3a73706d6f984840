// The measurements, the same in a page and in Node. What is compared runs interleaved, on the same inputs.

const TOKEN = `${'eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImJqMS5EQjlwUHB3YlNPN1EzVm9hIn0'}.${'e'.repeat(420)}.${'s'.repeat(86)}`;
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const ROUNDS = 40;
const BATCH = 3; // milliseconds that one timed batch aims at

/** Microseconds per call of each of `subjects`: median and quartiles over interleaved batches. */
async function interleaved(subjects) {
  const states = [];
  for (const [name, call] of Object.entries(subjects)) {
    for (let warm = 0; warm < 3000; warm++) await call(); // past the baseline compilers
    let count = 8;
    for (;;) {
      const spent = await timed(call, count);
      if (spent >= BATCH) break;
      count = Math.ceil(count * Math.min(8, (BATCH * 1.2) / Math.max(spent, 0.05)));
    }
    states.push({ name, call, count, samples: [] });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const state of states) state.samples.push(((await timed(state.call, state.count)) * 1000) / state.count);
  }
  return Object.fromEntries(states.map(({ name, samples }) => [name, summary(samples)]));
}

async function timed(call, count) {
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const result = call();
    if (result instanceof Promise) await result; // a call that is done at once must not wait its turn
  }
  return performance.now() - start;
}

function summary(samples) {
  const sorted = samples.toSorted ? samples.toSorted((a, b) => a - b) : [...samples].sort((a, b) => a - b);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/**
 * @param {{ auth: any, glue: any, Mac: any, dpop: any }} modules `@bmap/auth`, its WebAssembly loaded for measuring alone, a bare MAC of
 * the same code, and `dpop`
 */
export async function measure({ auth, glue, Mac, dpop }) {
  const report = {};
  const url = new URL('https://places.example/v1/search?q=Sofia&limit=10');
  const signer = new glue.Signer(KEY, 'jti-jti-jti-jti-jti-jt', TOKEN);
  const created = 1764000000;

  // The base that is signed, for WebCrypto: it gets its bytes ready-made, the signer has to write them first.
  const input = signer.sign('GET', url, created).split('\n')[0].slice('bmap='.length);
  const base = new TextEncoder().encode(
    `"authorization": HTTPSig ${TOKEN}\n"@method": GET\n"@authority": ${url.host}\n"@path": ${url.pathname}\n` +
      `"@query": ${url.search}\n"@signature-params": ${input}`,
  );
  const hmac = await crypto.subtle.importKey('raw', KEY, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  await proveSame(signer, hmac, base, url, created);
  // The signer hashes the token's line when the token arrives; a request's MAC is over the rest.
  const line = base.indexOf(10) + 1;
  const mac = new Mac(KEY, base.subarray(0, line));
  const rest = base.subarray(line);
  const expected = new Uint8Array(await crypto.subtle.sign('HMAC', hmac, base));
  if (mac.mac(rest).join() !== expected.join()) throw new Error('the two MACs differ');

  const client = auth.createClient({
    issuer: 'https://auth.example',
    ticket: () => `bmt_${'A'.repeat(43)}`,
    fetch: answers(url),
  });
  const tool = client.tool('places');
  const pair = await dpop.generateKeyPair('ES256');
  const htu = `${url.origin}${url.pathname}`;
  const plain = answers(url);

  report.base = base.length;
  report.sign = await interleaved({
    'MAC in WebAssembly, bytes in and out': () => mac.mac(rest),
    "WebCrypto's HMAC over the same base, bytes in and out": () => crypto.subtle.sign('HMAC', hmac, base),
    'sign in WebAssembly: nonce, base, MAC, both headers': () => signer.sign('GET', url, created),
    'tool.fetch, all but the network': () => tool.fetch('/v1/search?q=Sofia&limit=10'),
    'the stub that stands for the network': () => plain(url),
    'dpop proof (ES256, with the token hash)': () => dpop.generateProof(pair, htu, 'GET', undefined, TOKEN),
  });

  report.digest = [];
  for (const size of [64, 256, 1024, 1535, 1536, 1800, 2047, 2048, 3072, 4096, 6144, 7000, 8191, 8192, 16384, 65536]) {
    const body = new Uint8Array(size).fill(97);
    report.digest.push({
      size,
      ...(await interleaved({
        wasm: () => glue.contentDigest(body),
        webcrypto: () => viaWebCrypto(body),
      })),
    });
  }
  client.close();
  return report;
}

async function viaWebCrypto(body) {
  return `sha-256=:${btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', body))))}:`;
}

/** Both must compute the same before their times are compared. */
async function proveSame(signer, hmac, base, url, created) {
  const [input, signature] = signer.sign('GET', url, created).split('\n');
  const text = new TextDecoder().decode(base).replace(/(?<=@signature-params": ).*/s, input.slice('bmap='.length));
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', hmac, new TextEncoder().encode(text)));
  if (signature !== `bmap=:${btoa(String.fromCharCode(...mac))}:`) throw new Error('the two sides sign different things');
}

/** A network that answers at once: a token from the issuer, an empty answer from the tool. */
function answers(url) {
  const ok = new Response(null, { status: 204 });
  const token = () =>
    Response.json({
      access_token: TOKEN,
      token_type: 'HTTPSig',
      expires_in: 600,
      signing_key: btoa(String.fromCharCode(...KEY)).replace(/=+$/, ''),
      key_id: 'jti-jti-jti-jti-jti-jt',
      tool: { id: 'places', base_url: url.origin },
      server_time: Date.now(),
    });
  return async (target) => (String(target).endsWith('/oauth/token') ? token() : ok);
}
