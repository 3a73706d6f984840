/**
 * Callers without a page: a backend with its own API key (profile §7, `client_credentials`). Loaded only where one is given.
 *
 * @module
 */

import type { ApiKey } from './api.js';
import { BmapError } from './errors.js';
import type { Issuer, Token } from './issuer.js';
import { explain, RequestSigner } from './sign.js';
import { Loader } from './wasm.js';
import type { Glue } from './wasm/direct-glue.js';

const loader: Loader<Glue> = new Loader(
  () => import('./wasm/direct-bytes.js'),
  () => import('./wasm/direct-glue.js'),
);

/** Gets tokens with an API key. */
export function direct(issuer: Issuer, key: ApiKey, scope: string | undefined): (tool: string) => Promise<Token> {
  let signer: Promise<RequestSigner> | undefined;
  return async (tool) => {
    const form = { grant_type: 'client_credentials', audience: tool, ...(scope && { scope }) };
    if (key.proof === 'secret') return issuer.request(form, { header: `Basic ${btoa(`${key.id}:${key.secret}`)}` });
    signer ??= make(key);
    signer.catch(() => {
      signer = undefined;
    });
    return issuer.request(form, { signer: await signer });
  };
}

async function make(key: ApiKey): Promise<RequestSigner> {
  const glue = await loader.load();
  try {
    return new RequestSigner(glue.apiKeySigner(key.id, key.secret), loader);
  } catch (error) {
    throw new BmapError('bad_options', 'apiKey: not a bmk_… id and bms_… secret; was it copied whole?', { cause: explain(error) });
  }
}
