/**
 * The client: one issuer, one way to get tokens, any number of tools.
 *
 * @module
 */

import type { Client, ClientOptions, Tool } from './api.js';
import type { Engine } from './engine.js';
import { BmapError } from './errors.js';
import { prepare } from './request.js';

/**
 * Makes a client. Nothing is loaded or sent before the first request.
 *
 * @example
 * ```ts
 * const bmap = createClient({
 *   issuer: 'https://auth.example',
 *   ticket: () => fetch('/bmap-ticket', { method: 'POST' }).then((r) => r.text()),
 * });
 * const response = await bmap.tool('places').fetch('/v1/search?q=Sofia');
 * ```
 * @throws {BmapError} `bad_options`
 */
export function createClient(options: ClientOptions): Client {
  const issuer = checkIssuer(options.issuer);
  const { ticket, accessToken, clientId, apiKey } = options;
  if ([ticket, accessToken, apiKey].filter(Boolean).length !== 1) {
    throw new BmapError('bad_options', 'createClient takes one of ticket, accessToken and apiKey');
  }
  if (accessToken && !/^bmk_[0-9a-f]{32}$/.test(clientId)) throw new BmapError('bad_options', 'accessToken needs clientId, the id of an API key (bmk_…)');
  const tools = new Map<string, Tool>();
  let engine: Engine | undefined;
  let closed = false;

  const start = async (): Promise<Engine> => {
    let module: typeof import('./engine.js');
    try {
      module = await import('./engine.js');
    } catch (cause) {
      throw new BmapError('network', 'a part of @bmap/auth could not be loaded', { cause, retryable: true });
    }
    engine ??= new module.Engine(issuer, options);
    if (closed) engine.close();
    return engine;
  };
  const close = (): void => {
    closed = true;
    engine?.close();
  };
  const client = {
    tool(id: string): Tool {
      if (closed) throw new BmapError('closed', 'the client was closed');
      if (!/^[a-z0-9-]{1,32}$/.test(id)) throw new BmapError('bad_options', `${id} is no tool id: a-z, 0-9 and -, at most 32`);
      let tool = tools.get(id);
      if (!tool) {
        const send = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
          const request = await prepare(input, init);
          // Not waited for where it is there: a page that goes away has no time.
          return (engine ?? (await start())).fetch(id, request);
        };
        tool = { id, fetch: send } as Tool;
        tools.set(id, tool);
      }
      return tool;
    },
    close,
  } as Client;
  // Older platforms have no Symbol.dispose; a method under the name "undefined" would be a surprise.
  if (Symbol.dispose) client[Symbol.dispose] = close;
  return client;
}

function checkIssuer(issuer: ClientOptions['issuer']): URL {
  let url: URL;
  try {
    url = new URL(issuer as string | URL);
  } catch (error) {
    throw new BmapError('bad_options', 'issuer is no absolute URL', { cause: error });
  }
  const loopback = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new BmapError('bad_options', 'issuer must be https: its answers carry signing keys');
  }
  return url;
}
