/**
 * The engine behind a client, from its first request on. Loaded then, so that a page that only might call a tool loads little.
 *
 * @module
 */

import type { ClientOptions, PageOptions, UserOptions } from './api.js';
import { ServerClock } from './clock.js';
import { BmapError } from './errors.js';
import { type Shared, signedFetch } from './fetch.js';
import { Issuer, type Token } from './issuer.js';
import type { Prepared } from './request.js';
import { Tokens } from './tokens.js';
import { sdk } from './wasm.js';

/** One client's tokens, keys and clock. */
export class Engine {
  readonly #tokens = new Map<string, Tokens>();
  readonly #shared: Shared;
  readonly #grant: (tool: string) => Promise<Token>;
  readonly #renewable: boolean;
  #closed = false;

  constructor(issuerUrl: URL, options: ClientOptions) {
    // Taken at call time, so that what patches the global later (instrumentation, tests) is not missed.
    const fetcher = (options.fetch ?? ((input, init) => fetch(input, init))) as typeof fetch;
    const clock = new ServerClock();
    const issuer = new Issuer(issuerUrl, clock, fetcher, sdk);
    this.#shared = { issuer, clock, fetch: fetcher, onSigned: options.onSigned };
    this.#grant = grantOf(options, issuer);
    this.#renewable = options.apiKey === undefined;
  }

  /** Sends a request to a tool. */
  fetch(tool: string, request: Prepared): Promise<Response> {
    let tokens = this.#tokens.get(tool);
    if (!tokens) {
      tokens = new Tokens(tool, this.#shared.issuer, this.#shared.clock, this.#grant, this.#renewable);
      if (this.#closed) tokens.close();
      this.#tokens.set(tool, tokens);
    }
    return signedFetch(tool, tokens, this.#shared, request);
  }

  /** Wipes all keys. */
  close(): void {
    this.#closed = true;
    for (const tokens of this.#tokens.values()) tokens.close();
  }
}

function grantOf(options: ClientOptions, issuer: Issuer): (tool: string) => Promise<Token> {
  const { ticket, accessToken, clientId, apiKey } = options;
  if (ticket) return async (tool) => issuer.exchange(tool, await getTicket(ticket, tool));
  if (accessToken) return async (tool) => issuer.exchangeUser(tool, clientId, await getAccessToken(accessToken));
  let get: Promise<(tool: string) => Promise<Token>> | undefined;
  return async (tool) => {
    get ??= import('./direct.js').then(({ direct }) => direct(issuer, apiKey, options.scope));
    return (await get)(tool);
  };
}

async function getAccessToken(source: UserOptions['accessToken']): Promise<string> {
  let text: unknown;
  try {
    text = await source();
  } catch (error) {
    throw new BmapError('access_token_failed', 'the accessToken callback threw', { cause: error, retryable: true });
  }
  if (typeof text === 'string' && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  throw new BmapError('access_token_failed', 'the accessToken callback gave something that is no access token', { retryable: true });
}

async function getTicket(source: PageOptions['ticket'], tool: string): Promise<string> {
  let given: unknown;
  try {
    given = await source(tool);
  } catch (error) {
    throw new BmapError('ticket_failed', 'the ticket callback threw', { cause: error, retryable: true });
  }
  const text = typeof given === 'object' && given !== null ? (given as { ticket?: unknown }).ticket : given;
  // The backend's error page is also a string: it is not sent to the issuer, and not shown.
  if (typeof text === 'string' && /^bmt_[\w-]{43}$/.test(text.trim())) return text.trim();
  throw new BmapError('ticket_failed', 'the ticket callback gave something that is no ticket (bmt_…)', { retryable: true });
}
