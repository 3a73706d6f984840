/**
 * Waiting that an `AbortSignal` ends.
 *
 * @module
 */

/** What `promise` gives, unless `signal` comes first; the work behind the promise goes on for those who share it. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

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
