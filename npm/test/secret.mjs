// An API secret as people see it (profile §2).

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
