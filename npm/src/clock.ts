/**
 * The server's time, without trusting the page's clock.
 *
 * Every token answer and every problem body says the server's time in milliseconds. The client keeps its distance from the
 * monotonic clock, which no one can set: a page whose clock is hours wrong, or is set while it runs, signs with the right time.
 *
 * The one file that reads a clock.
 *
 * @module
 */
export class ServerClock {
  #offset: number | undefined;

  /** Takes note of the server's time, which came in just now. */
  learn(serverTime: number): void {
    // The answer was under way for a while, so this clock runs late by at most that. Late is the safe side: a verifier accepts
    // a request that is up to 60 s old, and only 5 s from the future.
    this.#offset = serverTime - this.ticks();
  }

  /** The server's time in milliseconds since 1970; before the first answer, the platform's guess of it. */
  now(): number {
    return this.#offset === undefined ? Date.now() : this.#offset + this.ticks();
  }

  /** Milliseconds on a clock that only goes forward. */
  ticks(): number {
    return performance.now();
  }
}
