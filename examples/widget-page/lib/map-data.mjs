// The map's dots: every place of the GeoNames data as two 16-bit numbers, hundredths of a degree from the south pole and from 180° W.

import { readFileSync } from 'node:fs';

export function mapDots(file) {
  const places = JSON.parse(readFileSync(file, 'utf8'));
  // Places closer than a hundredth of a degree fall on one dot.
  const dots = new Set(places.map(({ lat, lng }) => hundredths(lat, 90) * 65_536 + hundredths(lng, 180)));
  const numbers = new Uint16Array(dots.size * 2);
  let at = 0;
  for (const dot of dots) {
    numbers[at++] = Math.floor(dot / 65_536);
    numbers[at++] = dot % 65_536;
  }
  return Buffer.from(numbers.buffer);
}

function hundredths(degrees, offset) {
  return Math.round((Number(degrees) + offset) * 100);
}
