// The places tool called without a page: a backend with its own API key, through @bmap/auth.
//
//   BMAP_ISSUER, BMAP_KEY_ID, BMAP_KEY_SECRET   as for call.sh

import { BmapError, createClient } from '@bmap/auth';

const need = (name) => process.env[name] ?? fail(`${name} is missing`);
const fail = (text) => {
  console.error(text);
  process.exit(2);
};

const bmap = createClient({
  issuer: need('BMAP_ISSUER'),
  apiKey: { id: need('BMAP_KEY_ID'), secret: need('BMAP_KEY_SECRET') },
});
const places = bmap.tool('places');

try {
  const found = await places.fetch('/v1/search?q=Sofia&limit=1');
  console.log(JSON.stringify(await found.json()));

  const near = await places.fetch('/v1/nearby', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ lat: 42.69751, lon: 23.32415, radius_km: 30, limit: 3 }),
  });
  console.log(JSON.stringify(await near.json()));
  process.exitCode = found.ok && near.ok ? 0 : 1;
} catch (fault) {
  if (!(fault instanceof BmapError)) throw fault;
  console.error(`${fault.code}: ${fault.message}`);
  process.exitCode = 1;
} finally {
  bmap.close();
}
