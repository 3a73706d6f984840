/**
 * The life of one tool's token: got on first use, in one flight for all calls that wait, renewed before it ends.
 *
 * There is no timer: a page that does nothing asks for nothing. When it wakes after its session ended, it starts a new one. While
 * tickets or the issuer fail, attempts are kept apart: a page that calls a hundred times makes one.
 *
 * @module
 */

import type { ServerClock } from './clock.js';
import { BmapError } from './errors.js';
import type { Issuer, Token } from './issuer.js';
import { Backoff } from './wait.js';

/** Where the first token of a session comes from. */
export type Grant = (tool: string) => Promise<Token>;

/** Answers to a renewal that mean: this session is over, a new one may be started. Others mean that none may. */
const ENDED = new Set(['invalid_grant', 'invalid_token', 'token_expired', 'token_revoked', 'invalid_credentials', 'invalid_signature']);

/** One tool's tokens. */
export class Tokens {
  #current: Token | undefined;
  #previous: Token | undefined;
  #flight: Promise<Token> | undefined;
  #closed = false;
  readonly #tool: string;
  readonly #issuer: Issuer;
  readonly #clock: ServerClock;
  readonly #grant: Grant;
  readonly #renewable: boolean;
  readonly #backoff: Backoff;

  constructor(tool: string, issuer: Issuer, clock: ServerClock, grant: Grant, renewable: boolean) {
    this.#tool = tool;
    this.#issuer = issuer;
    this.#clock = clock;
    this.#grant = grant;
    this.#renewable = renewable;
    this.#backoff = new Backoff(() => clock.ticks());
  }

  /** The token that is in use, without waiting; in the last part of its life the next one is asked for meanwhile. */
  current(): Token | undefined {
    const token = this.#current;
    if (!token) return undefined;
    const left = token.ends - this.#clock.now();
    if (left <= Math.min(5000, token.life / 10)) return undefined; // it could end on the way
    if (left <= Math.min(60_000, token.life / 4) && !this.#backoff.on) this.get().catch(() => {});
    return token;
  }

  /** The next token. Callers at the same time share one flight. */
  get(): Promise<Token> {
    if (this.#closed) return Promise.reject(new BmapError('closed', 'the client was closed'));
    this.#flight ??= this.#next().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  /** Forgets a token that was refused. */
  forget(token: Token): void {
    if (this.#current === token) this.#replace(undefined);
  }

  /** Wipes the keys. */
  close(): void {
    this.#closed = true;
    this.#backoff.end();
    this.#replace(undefined);
    this.#replace(undefined);
  }

  async #next(): Promise<Token> {
    await this.#backoff.over();
    try {
      if (this.#closed) throw new BmapError('closed', 'the client was closed');
      const token = (await this.#renewed()) ?? (await this.#grant(this.#tool));
      if (this.#closed) {
        token.signer.free();
        throw new BmapError('closed', 'the client was closed');
      }
      this.#replace(token);
      this.#backoff.end();
      return token;
    } catch (error) {
      if (!this.#closed) this.#backoff.failed(error);
      throw error;
    }
  }

  async #renewed(): Promise<Token | undefined> {
    const token = this.#current;
    if (!this.#renewable || !token || token.ends <= this.#clock.now()) return undefined;
    try {
      return await this.#issuer.renew(this.#tool, token);
    } catch (error) {
      if (error instanceof BmapError && (ENDED.has(error.code) || error.code === 'wasm_unavailable')) return undefined;
      throw error;
    }
  }

  #replace(token: Token | undefined): void {
    // A call may be about to sign with the token that is replaced, so its key is wiped one token later.
    this.#previous?.signer.free();
    this.#previous = this.#current;
    this.#current = token;
  }
}
