// What is made at once, and is ready later.

/**
 * @template T
 * @typedef {T & Pick<Promise<T>, 'then' | 'catch' | 'finally'>} Awaitable
 */

/**
 * Lets `object` be awaited until `promise` settles; `await` then gives the object itself, which
 * is an ordinary one from then on. A failure that nobody awaits is not reported as unhandled: the
 * object tells it by its events too.
 *
 * @template {object} T
 * @param {T} object
 * @param {Promise<unknown>} promise
 * @returns {Awaitable<T>}
 */
export function awaitable(object, promise) {
  // Must be gone before the object is given to whoever awaits: what has `then` is awaited again.
  const ready = promise.then(() => {
    Reflect.deleteProperty(object, 'then');
    return object;
  });
  ready.catch(() => {});
  for (const name of /** @type {const} */ (['then', 'catch', 'finally'])) {
    const value = /** @type {any} */ (ready[name]).bind(ready);
    Object.defineProperty(object, name, { configurable: true, value });
  }
  return /** @type {Awaitable<T>} */ (object);
}

/**
 * A promise with its handles outside.
 *
 * @template T
 */
export class Deferred {
  settled = false;

  constructor() {
    /** @type {Promise<T>} */
    this.promise = new Promise((resolve, reject) => {
      /** @type {(value: T) => void} */
      this.resolve = (value) => {
        this.settled = true;
        resolve(value);
      };
      /** @type {(reason: unknown) => void} */
      this.reject = (reason) => {
        this.settled = true;
        reject(reason);
      };
    });
    this.promise.catch(() => {});
  }
}

/**
 * Runs `abort` when `signal` aborts, unless `promise` has settled before.
 *
 * @param {AbortSignal | undefined} signal
 * @param {Promise<unknown>} promise
 * @param {(reason: unknown) => void} abort
 */
export function abortable(signal, promise, abort) {
  if (!signal) return;
  const onAbort = () => abort(signal.reason);
  if (signal.aborted) {
    queueMicrotask(onAbort);
    return;
  }
  signal.addEventListener('abort', onAbort, { once: true });
  const forget = () => signal.removeEventListener('abort', onAbort);
  promise.then(forget, forget);
}
