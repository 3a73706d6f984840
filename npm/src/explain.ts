/**
 * The way to `why.ts`, which is loaded only when something failed.
 *
 * @module
 */

import type { BmapError } from './errors.js';

/** The error with its reason; `plain` where the reason can't be loaded either, as on a page that is offline. */
export async function explained(reason: (why: typeof import('./why.js')) => BmapError | Promise<BmapError>, plain: BmapError): Promise<BmapError> {
  try {
    return await reason(await import('./why.js'));
  } catch {
    return plain;
  }
}
