// One WebSocket, from its opening to its end: greeting, keep-alive, messages as objects.
import { ConnectionError } from './errors.js';

/**
 * @typedef {object} LinkOptions
 * @property {string} url
 * @property {object} hello goes out as `connection`
 * @property {number} timeoutMs for opening and greeting
 * @property {number} pingIntervalMs between two signs of life that are asked for
 *
 * @typedef {object} LinkHandlers
 * @property {() => void} onOpen the socket is open
 * @property {(user: any) => void} onEstablished the server has answered the greeting
 * @property {(message: string, data: any[]) => void} onMessage
 * @property {(error: ConnectionError) => void} onEnd once, unless the end was asked for
 */

/** Signs of life that may be missed in a row. */
const MISSES = 3;
/** How long a network that has changed may take to show that the socket still works. */
const PROBE_MS = 2_000;

export class Link {
  /** @type {LinkHandlers | null} */
  #handlers;
  /** @type {WebSocket} */
  #socket;
  #established = false;
  #misses = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #greeting;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #keepAlive;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #probe;

  /**
   * @param {LinkOptions} options
   * @param {LinkHandlers} handlers
   */
  constructor(options, handlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(options.url);
    this.#socket.onopen = () => {
      this.send('connection', options.hello);
      handlers.onOpen();
    };
    this.#socket.onmessage = ({ data }) => this.#onFrame(data, options.pingIntervalMs);
    this.#socket.onclose = ({ code, reason }) => this.#end(endOf(code, reason, options.url));
    this.#greeting = setTimeout(() => {
      const seconds = Math.round(options.timeoutMs / 1_000);
      this.#end(new ConnectionError('TIMEOUT', `The server did not answer in ${seconds} s`));
    }, options.timeoutMs);
  }

  /**
   * Sends a message; `false` when the socket is not open.
   *
   * @param {string} message
   * @param {unknown} data
   */
  send(message, data) {
    if (!this.#handlers || this.#socket.readyState !== 1) return false;
    this.#socket.send(JSON.stringify({ message, data: [data ?? null] }));
    return true;
  }

  /** Asks for a sign of life, and ends when none comes soon. */
  probe() {
    if (!this.#established || this.#probe) return;
    this.send('ping', null);
    this.#probe = setTimeout(
      () => this.#end(new ConnectionError('LOST', 'The server is out of reach')),
      PROBE_MS,
    );
  }

  /** Ends without a word to the handlers. */
  close() {
    this.#handlers = null;
    this.#quiet();
    this.#socket.close();
  }

  /**
   * @param {unknown} data
   * @param {number} pingIntervalMs
   */
  #onFrame(data, pingIntervalMs) {
    this.#misses = 0;
    clearTimeout(this.#probe);
    this.#probe = undefined;
    const frame = parse(data);
    if (!frame || !this.#handlers) return;
    switch (frame.message) {
      case 'ping':
        this.send('pong', null);
        break;
      case 'pong':
        break;
      case 'getUserData':
        if (this.#established) break;
        this.#established = true;
        clearTimeout(this.#greeting);
        this.#keepAlive = setInterval(() => this.#askForLife(), pingIntervalMs);
        this.#handlers.onEstablished(frame.data[0] ?? {});
        break;
      default:
        this.#handlers.onMessage(frame.message, frame.data);
    }
  }

  // Counts missed signs, not time: a machine that wakes up finds its timers late, not its server.
  #askForLife() {
    this.#misses += 1;
    if (this.#misses > MISSES) {
      this.#end(new ConnectionError('LOST', 'The server is silent'));
      return;
    }
    this.send('ping', null);
  }

  /** @param {ConnectionError} error */
  #end(error) {
    const handlers = this.#handlers;
    this.#handlers = null;
    this.#quiet();
    this.#socket.close();
    handlers?.onEnd(error);
  }

  #quiet() {
    clearTimeout(this.#greeting);
    clearTimeout(this.#probe);
    clearInterval(this.#keepAlive);
  }
}

/**
 * @param {number} code
 * @param {string} reason
 * @param {string} url
 */
function endOf(code, reason, url) {
  if (code === 1006 || code === 1005) {
    return new ConnectionError('UNREACHABLE', `No connection to ${url}`);
  }
  return new ConnectionError('REJECTED', reason || `The server closed the connection (${code})`);
}

/**
 * @param {unknown} data
 * @returns {{message: string, data: any[]} | null}
 */
function parse(data) {
  try {
    const frame = JSON.parse(String(data));
    if (typeof frame?.message !== 'string') return null;
    return { message: frame.message, data: Array.isArray(frame.data) ? frame.data : [] };
  } catch {
    return null;
  }
}
