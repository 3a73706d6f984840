// An API secret as people see it (profile §2), and the key that it gives.
import { hkdfSync } from 'node:crypto';

/** The form in which a secret is shown: `bms_`, base64url, `_`, and the CRC-32 of the middle in six base62 digits. */
export function secretOf(secret) {
  const encoded = secret.toString('base64url');
  let crc = 0xffffffff;
  for (const byte of Buffer.from(encoded)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = ~crc >>> 0;
  let digits = '';
  for (let place = 0; place < 6; place++, rest = Math.floor(rest / 62)) {
    digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'[rest % 62] + digits;
  }
  return `bms_${encoded}_${digits}`;
}

function lp(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** An API key with its K_api, by node:crypto. */
export function apiKey() {
  const [id, bytes] = ['bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff', Buffer.alloc(32, 0x5a)];
  const info = Buffer.concat([lp('bmap/1/api-sign'), lp(id)]);
  return { id, secret: secretOf(bytes), key: Buffer.from(hkdfSync('sha256', bytes, 'bmap/1/api', info, 32)) };
}
