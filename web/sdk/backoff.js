// How long to wait between attempts.

/**
 * @typedef {object} BackoffOptions
 * @property {number} [minDelayMs] before the second attempt
 * @property {number} [maxDelayMs] between any two attempts
 * @property {number} [giveUpAfterMs] from the first attempt on
 */

/** Delays that double, with jitter: the clients of a restarted server do not come all at once. */
export class Backoff {
  #attempt = 0;
  #since = Date.now();

  /** @param {BackoffOptions} [options] */
  constructor({ minDelayMs = 250, maxDelayMs = 5_000, giveUpAfterMs = 120_000 } = {}) {
    this.minDelayMs = minDelayMs;
    this.maxDelayMs = maxDelayMs;
    this.giveUpAfterMs = giveUpAfterMs;
  }

  get attempt() {
    return this.#attempt;
  }

  /**
   * The delay before the next attempt, or `null` when it is time to give up. The first attempt
   * comes at once.
   *
   * @returns {number | null}
   */
  next() {
    const attempt = this.#attempt;
    this.#attempt += 1;
    if (attempt === 0) return 0;
    if (Date.now() - this.#since > this.giveUpAfterMs) return null;
    const delay = Math.min(this.maxDelayMs, this.minDelayMs * 2 ** (attempt - 1));
    return delay * (0.75 + Math.random() / 2);
  }
}
