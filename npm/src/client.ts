/**
 * The client: one issuer, one way to get tokens, any number of tools.
 *
 * @module
 */

import { ServerClock } from './clock.js';
import type { ApiKey } from './direct.js';
import { BmapError } from './errors.js';
import { type SignedEvent, type Shared, signedFetch } from './fetch.js';
import { Issuer, type Token } from './issuer.js';
import { Tokens } from './tokens.js';
import { sdk } from './wasm.js';

/** A ticket, `bmt_…`, as the page's own backend got it from the issuer; or the issuer's whole answer. */
export type Ticket = string | { ticket: string };

interface CommonOptions {
  /** The issuer's address, for example `https://auth.example`. Plain `http` is taken for loopback addresses only. */
  issuer: string | URL;
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch;
  /** Called for every signed request, for a debug panel. What it throws, the request throws. */
  onSigned?: (event: SignedEvent) => void;
}

/** A page: its backend has the API key and hands out single-use tickets. */
export interface PageOptions extends CommonOptions {
  /** Gets a new ticket for a tool from the page's own backend. Called when a session starts, not for each token. */
  ticket: (tool: string) => Ticket | Promise<Ticket>;
  apiKey?: never;
  accessToken?: never;
  clientId?: never;
  scope?: never;
}

/** A page on which somebody is signed in: no backend of its own hands out tickets. */
export interface UserOptions extends CommonOptions {
  /** The public id, `bmk_…`, of the API key that registered the page and its tools. Never its secret. */
  clientId: string;
  /** Gets the access token of whoever is signed in. Called when a session starts, not for each token. */
  accessToken: () => string | Promise<string>;
  ticket?: never;
  apiKey?: never;
  scope?: never;
}

/** A backend that calls tools with its own API key. */
export interface DirectOptions extends CommonOptions {
  apiKey: ApiKey;
  /** Space-separated; default: all that the key may do. */
  scope?: string;
  ticket?: never;
  accessToken?: never;
  clientId?: never;
}

/** What {@link createClient} takes. */
export type ClientOptions = PageOptions | UserOptions | DirectOptions;

/** One protected tool. */
export interface Tool {
  /** The tool's id. */
  readonly id: string;
  /**
   * `fetch` with a signature: same arguments, same result. Relative addresses are the tool's.
   *
   * An answer that is not 2xx is returned and not thrown, also where the tool's guard refused; see `problemOf`. Redirects are not
   * followed. The body is read to its end before anything is sent, since its digest is signed.
   *
   * @throws {BmapError} where no answer could be had; its `code` says why.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
}

/** The client that {@link createClient} makes. */
export interface Client {
  /** The tool with this id; the same object each time, with one token for all its calls. */
  tool(id: string): Tool;
  /** Wipes all keys. Calls after it, and token requests under way, fail with `closed`. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
}

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
  const issuerUrl = checkIssuer(options.issuer);
  // Taken at call time, so that what patches the global later (instrumentation, tests) is not missed.
  const fetcher: typeof fetch = options.fetch ?? ((input, init) => fetch(input, init));
  const clock = new ServerClock();
  const issuer = new Issuer(issuerUrl, clock, fetcher, sdk);
  const shared: Shared = { issuer, clock, fetch: fetcher, onSigned: options.onSigned };
  const grant = grantOf(options, issuer);
  const tools = new Map<string, { tool: Tool; tokens: Tokens }>();
  let closed = false;

  const close = (): void => {
    closed = true;
    for (const { tokens } of tools.values()) tokens.close();
  };
  const client = {
    tool(id: string): Tool {
      if (closed) throw new BmapError('closed', 'the client was closed');
      if (!/^[a-z0-9-]{1,32}$/.test(id)) throw new BmapError('bad_options', `${id} is no tool id: a-z, 0-9 and -, at most 32`);
      let known = tools.get(id);
      if (!known) {
        const tokens = new Tokens(id, issuer, clock, grant, options.apiKey === undefined);
        known = { tokens, tool: { id, fetch: (input, init) => signedFetch(id, tokens, shared, input, init) } };
        tools.set(id, known);
      }
      return known.tool;
    },
    close,
  } as Client;
  // Older platforms have no Symbol.dispose; a method under the name "undefined" would be a surprise.
  if (Symbol.dispose) client[Symbol.dispose] = close;
  return client;
}

function checkIssuer(issuer: string | URL): URL {
  let url: URL;
  try {
    url = new URL(issuer);
  } catch (error) {
    throw new BmapError('bad_options', 'issuer is no absolute URL', { cause: error });
  }
  const loopback = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new BmapError('bad_options', 'issuer must be https: its answers carry signing keys');
  }
  return url;
}

function grantOf(options: ClientOptions, issuer: Issuer): (tool: string) => Promise<Token> {
  const { ticket, accessToken, clientId, apiKey } = options;
  if ([ticket, accessToken, apiKey].filter(Boolean).length !== 1) {
    throw new BmapError('bad_options', 'createClient takes one of ticket, accessToken and apiKey');
  }
  if (ticket) return async (tool) => issuer.exchange(tool, await getTicket(ticket, tool));
  if (accessToken) {
    if (!/^bmk_[0-9a-f]{32}$/.test(clientId)) throw new BmapError('bad_options', 'accessToken needs clientId, the id of an API key (bmk_…)');
    return async (tool) => issuer.exchangeUser(tool, clientId, await getAccessToken(accessToken));
  }
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
