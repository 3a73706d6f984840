/**
 * The issuer's token endpoint (profile §7).
 *
 * @module
 */

import { redirected, retryAfter, shortWait } from './answer.js';
import type { ServerClock } from './clock.js';
import { contentDigest } from './digest.js';
import { BmapError } from './errors.js';
import { explained } from './explain.js';
import { watchPolicy } from './policy.js';
import { problemOf } from './problem.js';
import { explain, RequestSigner } from './sign.js';
import { bytesOfBase64url } from './text.js';
import { Allowance, pause } from './wait.js';
import type { Glue } from './wasm/sdk-glue.js';
import type { Loader } from './wasm.js';

/** A tool token, ready to sign with. */
export interface Token {
  text: string;
  signer: RequestSigner;
  /** The tool's public address, ending in `/`; relative URLs are resolved against it. */
  base: string;
  /** The address's origin, ending in `/`. */
  origin: string;
  /** How long it lives from its minting, and when it ends in the server's time; milliseconds. */
  life: number;
  ends: number;
}

/** The caller's proof in a token request, beside its form. */
export type Proof = { signer: RequestSigner } | { header: string } | undefined;

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** One issuer, as one client sees it. */
export class Issuer {
  readonly #endpoint: URL;
  readonly #clock: ServerClock;
  readonly #fetch: typeof fetch;
  readonly loader: Loader<Glue>;

  constructor(issuer: URL, clock: ServerClock, fetcher: typeof fetch, loader: Loader<Glue>) {
    this.#endpoint = new URL(`${issuer.href.replace(/\/$/, '')}/oauth/token`);
    this.#clock = clock;
    this.#fetch = fetcher;
    this.loader = loader;
  }

  /** A token for a ticket, which is used up by this. */
  exchange(tool: string, ticket: string): Promise<Token> {
    const type = 'urn:bmap:token-type:ticket';
    return this.request({ grant_type: EXCHANGE, subject_token: ticket, subject_token_type: type, audience: tool }, undefined);
  }

  /** A token for the signed-in user, on a page that the API key `clientId` registered. */
  exchangeUser(tool: string, clientId: string, accessToken: string): Promise<Token> {
    const form = { grant_type: EXCHANGE, subject_token: accessToken, subject_token_type: ACCESS_TOKEN, audience: tool };
    return this.request({ ...form, client_id: clientId }, undefined);
  }

  /** The next token of the same session. The request is signed with the current one's key. */
  renew(tool: string, token: Token): Promise<Token> {
    const form = { grant_type: EXCHANGE, subject_token: token.text, subject_token_type: ACCESS_TOKEN, audience: tool };
    return this.request(form, { signer: token.signer });
  }

  /**
   * Asks for a token; once more after a `clock_skew`, which carries the server's time. A signed request whose nonce the issuer can't
   * look up yet is signed again after the time that it names, within bounds; its other 503s go to the caller.
   */
  async request(form: Record<string, string>, proof: Proof): Promise<Token> {
    const loading = this.loader.load(); // while the answer is under way
    loading.catch(() => {});
    const body = new URLSearchParams(form).toString();
    const waits = new Allowance();
    for (let repaired = false; ; ) {
      const response = await this.#post(body, proof);
      const problem = await problemOf(response);
      if (problem?.serverTime !== undefined) this.#clock.learn(problem.serverTime);
      if (!problem) return this.#token(await this.#read(response), await loading);
      let wait: number | undefined;
      if (problem.code === 'clock_skew' && !repaired) {
        repaired = true;
        wait = shortWait(response);
      } else if (problem.code === 'replay_store_unavailable' && proof && 'signer' in proof) {
        wait = waits.take(retryAfter(response));
      }
      if (wait === undefined) {
        const signed = !!proof && 'signer' in proof;
        throw await explained((why) => why.refused(problem, this.#endpoint, signed, this.#fetch), new BmapError(problem.code, problem.title, problem));
      }
      await pause(wait);
    }
  }

  async #post(body: string, proof: Proof): Promise<Response> {
    const type = 'application/x-www-form-urlencoded';
    const headers: Record<string, string> = { 'content-type': type };
    if (proof && 'header' in proof) headers.authorization = proof.header;
    if (proof && 'signer' in proof) {
      const digest = await contentDigest(await this.loader.load(), new TextEncoder().encode(body));
      Object.assign(headers, proof.signer.sign('POST', this.#endpoint, this.#clock.now(), type, digest));
    }
    // Not 'error': Workers know 'manual' and 'follow' only. Nor do they know credentials and cache, and refuse what they do not know.
    const init: RequestInit = { method: 'POST', headers, body, redirect: 'manual' };
    if ('credentials' in (globalThis.Request?.prototype ?? {})) Object.assign(init, { credentials: 'omit', cache: 'no-store' });
    watchPolicy();
    let response: Response;
    try {
      response = await this.#fetch(this.#endpoint.href, init);
    } catch (cause) {
      const plain = new BmapError('network', `the issuer ${this.#endpoint.origin} could not be reached`, { cause, retryable: true });
      throw await explained((why) => why.unreachable(this.#endpoint, init, cause, 'issuer'), plain);
    }
    if (response.redirected || redirected(response)) {
      throw new BmapError('redirect_refused', `the issuer ${this.#endpoint.href} answered with a redirect; give createClient the address that it leads to`);
    }
    return response;
  }

  async #read(response: Response): Promise<Record<string, unknown>> {
    if (response.ok) {
      const answer: unknown = await response.json().catch(() => undefined);
      if (typeof answer === 'object' && answer !== null) return answer as Record<string, unknown>;
    }
    const status = response.status;
    throw new BmapError('bad_answer', `the issuer answered ${status} without a token`, { status, retryable: status >= 500, retryAfter: retryAfter(response) });
  }

  #token(answer: Record<string, unknown>, glue: Glue): Token {
    const { access_token: text, token_type: type, expires_in: seconds, signing_key: key, key_id: id, server_time: time } = answer;
    const address = (answer.tool as { base_url?: unknown } | undefined)?.base_url;
    const strings = [text, key, id, address].every((value) => typeof value === 'string');
    if (!strings || type !== 'HTTPSig' || typeof seconds !== 'number' || typeof time !== 'number' || !(seconds > 0)) {
      throw new BmapError('bad_answer', "the issuer's answer is no tool token");
    }
    this.#clock.learn(time);
    const life = seconds * 1000;
    try {
      const base = new URL(`${(address as string).replace(/\/$/, '')}/`);
      const bytes = bytesOfBase64url(key as string);
      const signer = this.loader.guard(() => new glue.Signer(bytes, id as string, text as string));
      bytes.fill(0);
      return { text: text as string, signer: new RequestSigner(signer, this.loader, text as string), base: base.href, origin: `${base.origin}/`, life, ends: time + life };
    } catch (error) {
      if (error instanceof BmapError) throw error;
      throw new BmapError('bad_answer', "the issuer's answer is no tool token", { cause: explain(error) });
    }
  }
}
