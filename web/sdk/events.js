// Listeners, several for each event.

/**
 * @typedef {{once?: boolean, signal?: AbortSignal}} ListenerOptions
 * @typedef {(...args: any[]) => void} Listener
 */

/** Something that tells what happens to it. */
export class Emitter {
  /** @type {Map<string, Map<Listener, ListenerOptions>>} */
  #listeners = new Map();

  /**
   * Calls `listener` at every `event` from here on. Listeners add up.
   *
   * @param {string} event
   * @param {Listener} listener
   * @returns {this}
   */
  on(event, listener) {
    this.addEventListener(event, listener);
    return this;
  }

  /**
   * Takes back `on`.
   *
   * @param {string} event
   * @param {Listener} listener
   * @returns {this}
   */
  off(event, listener) {
    this.removeEventListener(event, listener);
    return this;
  }

  /**
   * Like `on`, for one call only with `once`, and until `signal` aborts. Adding a listener again
   * changes nothing.
   *
   * @param {string} event
   * @param {Listener} listener
   * @param {ListenerOptions} [options]
   */
  addEventListener(event, listener, options = {}) {
    if (!event) throw new TypeError("Event can't be null");
    if (typeof listener !== 'function') {
      throw new TypeError('Callback needs to be a valid function');
    }
    if (options.signal?.aborted) return;
    const listeners = this.#listeners.get(event) ?? new Map();
    this.#listeners.set(event, listeners);
    if (listeners.has(listener)) return;
    listeners.set(listener, options);
    options.signal?.addEventListener('abort', () => listeners.delete(listener), { once: true });
  }

  /**
   * @param {string} event
   * @param {Listener} listener
   */
  removeEventListener(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  /**
   * Calls the listeners of `event`. One that throws is reported as uncaught and stops nobody else.
   *
   * @internal
   * @param {string} event
   * @param {...any} args
   */
  _emit(event, ...args) {
    const listeners = this.#listeners.get(event);
    for (const [listener, { once }] of [...(listeners ?? [])]) {
      if (once) listeners?.delete(listener);
      try {
        listener(...args);
      } catch (error) {
        if (typeof reportError === 'function') reportError(error);
        else setTimeout(() => { throw error; });
      }
    }
  }
}
