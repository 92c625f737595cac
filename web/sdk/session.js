// A session: one login on one server. It outlives its WebSocket.
import { abortable, awaitable, Deferred } from './awaitable.js';
import { Backoff } from './backoff.js';
import { SESSION_STATUS } from './constants.js';
import { ConnectionError, RoomError } from './errors.js';
import { Emitter } from './events.js';
import { newId } from './ids.js';
import { Link } from './link.js';
import { leaveToken } from './resume.js';
import { Room } from './room.js';

/**
 * @typedef {object} ConnectOptions
 * @property {string} [urlServer] `ws://` or `wss://`; the page's own host and port without it
 * @property {string} [username] who to be in rooms; who has none enters none
 * @property {string} [token] handed to the server as it is
 * @property {string} [appKey]
 * @property {RTCConfiguration} [mediaOptions] for every peer connection
 * @property {number} [timeout] milliseconds for the server to answer; 10 s without it
 * @property {number} [pingInterval] milliseconds between two signs of life; 5 s without it
 * @property {import('./backoff.js').BackoffOptions | false} [reconnect] how a lost connection
 *   comes back; `false` ends the session instead
 * @property {number} [requestTimeout] milliseconds for a room command; 10 s without it
 * @property {AbortSignal} [signal] gives the session up while it is not established
 *
 * @typedef {object} JoinOptions
 * @property {string} name of the room
 * @property {boolean} [record]
 * @property {AbortSignal} [signal] gives the room up while we are not in it
 */

/** The address of the server that the page came from. */
export function defaultUrl() {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${location.host}/`;
}

/**
 * Connects to a server. The session is there at once; awaiting it waits until it is established.
 *
 * @param {ConnectOptions} options
 * @returns {import('./awaitable.js').Awaitable<Session>}
 */
export function connect(options) {
  const session = new Session(options);
  abortable(options.signal, session._ready.promise, (reason) => session._fail(reason));
  return awaitable(session, session._ready.promise);
}

/**
 * Events: the statuses of `SESSION_STATUS`, each with the session. `ESTABLISHED` comes once;
 * after a loss come `RECONNECTING` and `RECONNECTED`, with the rooms and streams healed by the
 * SDK itself. `DISCONNECTED` and `FAILED` are final.
 */
export class Session extends Emitter {
  /** @internal @type {Deferred<void>} */
  _ready = new Deferred();
  /** @internal What the server says of itself when it is Parlor. @type {any} */
  _parlor = null;
  /** @internal @type {Map<string, import('./leg.js').Leg>} */
  _legs = new Map();
  #id = newId();
  #options;
  #url;
  /** @type {string} */
  #status = SESSION_STATUS.PENDING;
  /** @type {Link | null} */
  #link = null;
  /** @type {Backoff | null} */
  #backoff = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {Map<string, {deferred: Deferred<any>, timer: ReturnType<typeof setTimeout>}>} */
  #operations = new Map();
  #watch = new AbortController();
  /** @type {unknown} */
  #error = null;

  /** @param {ConnectOptions} options */
  constructor(options) {
    super();
    if (!options) throw new TypeError('options must be provided');
    this.#options = options;
    this.#url = options.urlServer ?? defaultUrl();
    this.#watchPage();
    this.#open();
  }

  id() {
    return this.#id;
  }

  getServerUrl() {
    return this.#url;
  }

  username() {
    return this.#options.username ?? '';
  }

  /** One of `SESSION_STATUS`. */
  status() {
    return this.#status;
  }

  /** Why the session has ended, when it has not by `disconnect`. */
  error() {
    return this.#error;
  }

  /** What the server says of itself, when it is Parlor: its `version`, and what it has. */
  server() {
    return this._parlor;
  }

  getRooms() {
    return [...this.#rooms.values()];
  }

  /**
   * Enters a room. The room is there at once; awaiting it waits until the server has let us in.
   *
   * @param {JoinOptions} options
   * @returns {import('./awaitable.js').Awaitable<Room>}
   */
  join(options) {
    if (!options?.name) throw new TypeError('options.name must be provided');
    if (!this._established) {
      throw new ConnectionError('INVALID_STATE', `Invalid session state ${this.#status}`);
    }
    const room = new Room(this, options);
    this.#rooms.get(options.name)?._close(new RoomError('LEFT', 'The room was joined again'));
    this.#rooms.set(options.name, room);
    abortable(options.signal, room._ready.promise, (reason) => room._abort(reason));
    room._enter();
    return awaitable(room, room._ready.promise);
  }

  /** Ends the session and all it has. */
  disconnect() {
    this.#finish(SESSION_STATUS.DISCONNECTED, new ConnectionError('CLOSED', 'Disconnected'));
  }

  /** @internal */
  get _established() {
    const status = this.#status;
    return status === SESSION_STATUS.ESTABLISHED;
  }

  /** @internal */
  get _ended() {
    const status = this.#status;
    return status === SESSION_STATUS.DISCONNECTED || status === SESSION_STATUS.FAILED;
  }

  /** @internal */
  get _mediaOptions() {
    return this.#options.mediaOptions ?? {};
  }

  /** @internal @param {unknown} reason */
  _fail(reason) {
    this.#finish(SESSION_STATUS.FAILED, reason);
  }

  /**
   * Sends a message; `false` when there is no connection at the moment.
   *
   * @internal
   * @param {string} message
   * @param {unknown} data
   */
  _send(message, data) {
    return this._established && (this.#link?.send(message, data) ?? false);
  }

  /**
   * Sends a room command and waits for the server's word.
   *
   * @internal
   * @param {string} command
   * @param {object} options
   * @returns {Promise<any>}
   */
  _command(command, options) {
    const operationId = newId();
    const deferred = new Deferred();
    if (!this._send('sendData', { operationId, payload: { command, options } })) {
      deferred.reject(new ConnectionError('LOST', 'There is no connection at the moment'));
      return deferred.promise;
    }
    const timer = setTimeout(() => {
      this.#operations.delete(operationId);
      deferred.reject(new RoomError('TIMEOUT', 'The server did not answer'));
    }, this.#options.requestTimeout ?? 10_000);
    this.#operations.set(operationId, { deferred, timer });
    return deferred.promise;
  }

  /** @internal @param {Room} room */
  _forget(room) {
    if (this.#rooms.get(room.name()) === room) this.#rooms.delete(room.name());
  }

  #open() {
    const { username, token, appKey = 'roomApp' } = this.#options;
    this.#link = new Link(
      {
        url: this.#url,
        timeoutMs: this.#options.timeout || 10_000,
        pingIntervalMs: this.#options.pingInterval || 5_000,
        hello: {
          appKey,
          mediaProviders: ['WebRTC'],
          clientVersion: '2.0',
          clientBrowserVersion: globalThis.navigator?.userAgent ?? '',
          custom: { login: username, token },
        },
      },
      {
        onOpen: () => {
          if (!this.#backoff) this.#become(SESSION_STATUS.CONNECTED);
        },
        onEstablished: (user) => this.#onEstablished(user),
        onMessage: (message, data) => this.#onMessage(message, data),
        onEnd: (error) => this.#onLost(error),
      },
    );
  }

  /** @param {any} user */
  #onEstablished(user) {
    this._parlor = user.parlor ?? null;
    const again = this.#backoff !== null;
    this.#backoff = null;
    this.#status = SESSION_STATUS.ESTABLISHED;
    if (again) this.getRooms().forEach((room) => room._reenter());
    this._emit(again ? SESSION_STATUS.RECONNECTED : SESSION_STATUS.ESTABLISHED, this);
    this._ready.resolve();
  }

  /** @param {ConnectionError} error */
  #onLost(error) {
    this.#link = null;
    for (const { deferred, timer } of this.#operations.values()) {
      clearTimeout(timer);
      deferred.reject(error);
    }
    this.#operations.clear();
    // A first connection that does not come about is told at once: the address may be wrong.
    if (!this._ready.settled || this.#options.reconnect === false) {
      this.#finish(
        this._ready.settled ? SESSION_STATUS.DISCONNECTED : SESSION_STATUS.FAILED,
        error,
      );
      return;
    }
    this.#backoff ??= new Backoff(this.#options.reconnect);
    const delay = this.#backoff.next();
    if (delay === null) {
      this.#finish(SESSION_STATUS.DISCONNECTED, error);
      return;
    }
    if (this.#status !== SESSION_STATUS.RECONNECTING) this.#become(SESSION_STATUS.RECONNECTING);
    if (!this._ended) this.#retry = setTimeout(() => this.#open(), delay);
  }

  /**
   * @param {string} message
   * @param {any[]} data
   */
  #onMessage(message, data) {
    const first = data[0];
    switch (message) {
      case 'DataStatusEvent':
        this.#onDataStatus(first);
        break;
      case 'OnDataEvent': {
        const payload = first?.payload;
        this.#rooms.get(payload?.roomName)?._onEvent(payload.name, payload.info);
        break;
      }
      case 'setRemoteSDP':
        this._legs.get(first)?._onAnswer(data[1]);
        break;
      case 'notifyStreamStatusEvent':
      case 'notifyVideoFormat':
        this._legs.get(first?.mediaSessionId)?._onStatus(first);
        break;
      case 'notifyStreamEvent':
        this._legs.get(first?.mediaSessionId)?._onEvent(first);
        break;
      case 'fail':
        this.#onFail(first ?? {});
        break;
      default:
        break;
    }
  }

  /** @param {any} failure */
  #onFail({ apiMethod, id, room, info, ...status }) {
    if (apiMethod === 'StreamStatusEvent') {
      this._legs.get(id)?._onStatus({ ...status, info });
      return;
    }
    this._emit(SESSION_STATUS.WARN, this, info);
    if (apiMethod !== 'join') return;
    // Another connection has taken our place. Which room that was in is clear when there is one.
    const rooms = this.getRooms().filter((each) => room === undefined || each.name() === room);
    if (rooms.length === 1) rooms[0]._fail(new RoomError('REPLACED', String(info)));
  }

  /** @param {any} event */
  #onDataStatus(event) {
    const operation = this.#operations.get(event?.operationId);
    if (!operation) return;
    this.#operations.delete(event.operationId);
    clearTimeout(operation.timer);
    if (event.status === 'ACCEPTED') operation.deferred.resolve(event);
    else operation.deferred.reject(RoomError.refused(event.info));
  }

  /** @param {string} status */
  #become(status) {
    this.#status = status;
    this._emit(status, this);
  }

  /**
   * @param {string} status
   * @param {unknown} error
   */
  #finish(status, error) {
    if (this._ended) return;
    clearTimeout(this.#retry);
    this.#watch.abort();
    this.#link?.close();
    this.#link = null;
    this.#error = error;
    this.#status = status;
    for (const { deferred, timer } of this.#operations.values()) {
      clearTimeout(timer);
      deferred.reject(error);
    }
    this.#operations.clear();
    this.getRooms().forEach((room) => room._close(error));
    this._ready.reject(error);
    this._emit(status, this);
  }

  #watchPage() {
    /** @type {Window | undefined} */
    const target = globalThis.window;
    const { signal } = this.#watch;
    // A network that is back, or another one, shows at once whether the socket has survived.
    const hurry = () => {
      if (this.#status === SESSION_STATUS.RECONNECTING && !this.#link) {
        clearTimeout(this.#retry);
        this.#open();
      } else this.#link?.probe();
    };
    target?.addEventListener('online', hurry, { signal });
    const network = /** @type {any} */ (globalThis.navigator)?.connection;
    network?.addEventListener?.('change', hurry, { signal });
    target?.addEventListener(
      'pagehide',
      () => {
        for (const room of this.getRooms()) {
          if (room._token) leaveToken(this.#url, room.name(), this.username(), room._token);
        }
      },
      { signal },
    );
  }
}
