/**
 * Waiting that an `AbortSignal` ends.
 *
 * @module
 */

import { unlessAborted } from './abort.js';
import { BmapError } from './errors.js';

/** Resolves after so many milliseconds, unless `signal` comes first; then nothing is left of the timer. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  return unlessAborted(over, signal).finally(() => clearTimeout(timer));
}

/** How long one call waits for replay stores, in all; milliseconds. After a restart a server with the right time asks for 6 s at most. */
export const ALLOWANCE = 10_000;

/**
 * The waits of one call for a replay store that can't answer yet (profile §5, "After a restart"), apart from the one repair that
 * clock and token have. Each is as long as the server asks, and at least 1, 2, 4 and 8 s in turn, so that a store that stays away is
 * asked four times at most.
 */
export class Allowance {
  #left = ALLOWANCE;
  #least = 1000;

  /**
   * Milliseconds to wait now; `undefined` where the server names no time, or more than is left. Up to a quarter more than asked, by
   * chance: callers that were refused together do not come back together.
   */
  take(seconds: number | undefined): number | undefined {
    if (seconds === undefined) return undefined;
    const asked = Math.max(seconds * 1000, this.#least);
    if (asked > this.#left) return undefined;
    const wait = Math.min(asked * (1 + Math.random() / 4), this.#left);
    this.#left -= wait;
    this.#least *= 2;
    return wait;
  }
}

/** How long a call waits for the end of a back-off before it fails with what failed last; milliseconds. */
const PATIENCE = 1000;

/**
 * After a failure: no other attempt for 0.5 s, and for twice as long after each further failure, up to 60 s; by chance up to twice
 * that, within these bounds. It ends early when the device is online again or the page is looked at again.
 */
export class Backoff {
  #failures = 0;
  #until = -Infinity;
  #error: BmapError | undefined;
  #wake: (() => void) | undefined;
  readonly #ticks: () => number;

  constructor(ticks: () => number) {
    this.#ticks = ticks;
  }

  /** Whether it lasts. */
  get on(): boolean {
    return this.#ticks() < this.#until;
  }

  /** An attempt succeeded. */
  end(): void {
    this.#failures = 0;
    this.wake();
  }

  /** Ends it early; the next failure counts on. */
  wake = (): void => {
    this.#until = -Infinity;
    this.#error = undefined;
    this.#listen('removeEventListener');
    this.#wake?.();
  };

  /** An attempt failed. Callers are held off where trying again can help; a permanent failure costs them no time. */
  failed(error: unknown): void {
    const known = error instanceof BmapError ? error : undefined;
    const least = Math.min(known?.retryAfter ?? 0, 600) * 1000;
    const wait = Math.max(least, Math.min(500 * 2 ** Math.min(this.#failures++, 10) * (1 + Math.random()), 60_000));
    this.#until = this.#ticks() + wait;
    this.#error = known?.retryable ? known : undefined;
    this.#listen('addEventListener');
  }

  /** Resolves when an attempt may be made: at once, or after a second at most. Later ones fail with what failed last. */
  async over(): Promise<void> {
    const left = this.#until - this.#ticks();
    const error = this.#error;
    if (!error || left <= 0) return;
    let woken = false;
    const early = new Promise<void>((resolve) => {
      this.#wake = () => resolve(void (woken = true));
    });
    const timer = new AbortController();
    await Promise.race([early, pause(Math.min(left, PATIENCE), timer.signal)]);
    timer.abort();
    if (woken || left <= PATIENCE) return;
    const seconds = Math.max(1, Math.ceil((this.#until - this.#ticks()) / 1000));
    const { code, message, cause, status, requestId, field, hint } = error;
    throw new BmapError(code, message, { cause, retryable: true, requestId, field, hint, retryAfter: seconds, ...(status !== undefined && { status }) });
  }

  #look = (): void => {
    if (document.visibilityState === 'visible') this.wake();
  };

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    const { document, [how]: act } = globalThis as Partial<typeof globalThis>;
    act?.call(globalThis, 'online', this.wake);
    document?.[how]?.('visibilitychange', this.#look);
  }
}
