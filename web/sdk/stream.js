// What publications and playbacks share: a life of several legs, statuses, numbers.
import { Deferred } from './awaitable.js';
import { Backoff } from './backoff.js';
import { STREAM_EVENT, STREAM_STATUS } from './constants.js';
import { StreamError } from './errors.js';
import { Emitter } from './events.js';
import { Leg } from './leg.js';
import { Meter } from './stats.js';

const HEAL = { minDelayMs: 500, maxDelayMs: 4_000, giveUpAfterMs: 45_000 };
/** A stream that has been on the air for so long starts its attempts anew. */
const STEADY_MS = 10_000;
/** How long the server may take to confirm a stop. */
const STOP_MS = 3_000;

/**
 * Events: the statuses of `STREAM_STATUS`, each with the stream, and `STREAM_EVENT` with
 * `{type, payload}`. `RESTARTING` tells that the SDK heals the stream; `UNPUBLISHED`, `STOPPED`
 * and `FAILED` are final.
 */
export class Stream extends Emitter {
  /** @internal @type {Deferred<void>} */
  _ready = new Deferred();
  /** @internal @type {Leg | null} */
  _leg = null;
  /** @internal */
  _room;
  #direction;
  /** @type {string} */
  #status = STREAM_STATUS.NEW;
  #info = '';
  #backoff = new Backoff(HEAL);
  #liveSince = 0;
  #stopping = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #meter = new Meter();

  /**
   * @param {import('./room.js').Room} room
   * @param {'publish' | 'play'} direction
   */
  constructor(room, direction) {
    super();
    this._room = room;
    this.#direction = direction;
    room._streams.add(this);
  }

  /** The id that the server knows the stream by. It changes when the stream is healed. */
  id() {
    return this._leg?.id;
  }

  /** The name of the stream on the server. */
  name() {
    return this._leg?.name ?? '';
  }

  /** One of `STREAM_STATUS`. */
  status() {
    return this.#status;
  }

  /** What the server said last of the status. */
  getInfo() {
    return this.#info;
  }

  /** Whether we are the one who sends. */
  published() {
    return this.#direction === 'publish';
  }

  /** Whether the stream has ended for good. */
  get ended() {
    const status = this.#status;
    return (
      status === STREAM_STATUS.UNPUBLISHED ||
      status === STREAM_STATUS.STOPPED ||
      status === STREAM_STATUS.FAILED
    );
  }

  /** Whether media is on its way. */
  get live() {
    const status = this.#status;
    return status === STREAM_STATUS.PUBLISHING || status === STREAM_STATUS.PLAYING;
  }

  /** Ends the stream. The final status comes as an event. */
  stop() {
    if (this.ended || this.#stopping) return;
    this.#stopping = true;
    clearTimeout(this.#timer);
    const asked = this._leg?.stop();
    this._leg?.hush();
    if (!asked) this._finish(this._stoppedStatus, 'Stopped by user');
    else {
      const finish = () => this._finish(this._stoppedStatus, 'Stopped by user');
      this.#timer = setTimeout(finish, STOP_MS);
    }
  }

  /**
   * Bitrates, losses, round trip, resolution, codecs and quality since the last call.
   *
   * @returns {Promise<import('./stats.js').StreamStats>}
   */
  async stats() {
    const connection = this._leg?.connection ?? null;
    const numbers = await this.#meter.read(connection, this.#direction);
    return { id: this.id() ?? '', name: this.name(), ...numbers };
  }

  /**
   * The numbers as the published SDK gives them.
   *
   * @param {(stats: any) => void} callback
   */
  getStats(callback) {
    this.#meter.legacy(this._leg?.connection ?? null, this.#direction).then(callback);
  }

  /** @internal */
  get _stoppedStatus() {
    return this.#direction === 'publish' ? STREAM_STATUS.UNPUBLISHED : STREAM_STATUS.STOPPED;
  }

  /**
   * @internal What the subclass sends or receives.
   * @returns {Pick<import('./leg.js').LegOptions, 'name' | 'body' | 'prepare'>}
   */
  _nextLeg() {
    throw new Error('a subclass says what is sent or received');
  }

  /** @internal @param {any} _status */
  _onLive(_status) {}

  /** @internal @param {any} _event */
  _onStreamEvent(_event) {}

  /** @internal */
  _onEnd() {}

  /** @internal Starts the first leg, or the next one. */
  _begin() {
    if (this.ended || this.#stopping) return;
    clearTimeout(this.#timer);
    this.#become(STREAM_STATUS.PENDING);
    // Who is not in the room at this moment begins when it is entered again.
    if (!this._room._inside) return;
    this._leg?.close();
    const leg = new Leg(
      {
        session: this._room._session,
        direction: this.#direction,
        room: this._room.name(),
        ...this._nextLeg(),
      },
      {
        onStatus: (status) => this.#onStatus(status),
        onEvent: (event) => this._onStreamEvent(event),
        onBroken: (why) => this._restart(why),
      },
    );
    this._leg = leg;
    leg.start();
  }

  /**
   * Goes on with another leg.
   *
   * @internal
   * @param {string} why
   */
  _restart(why) {
    if (this.ended || this.#stopping) return;
    if (this.#liveSince && Date.now() - this.#liveSince > STEADY_MS) {
      this.#backoff = new Backoff(HEAL);
    }
    this.#liveSince = 0;
    this.#info = why;
    const delay = this.#backoff.next();
    if (delay === null) {
      this._finish(STREAM_STATUS.FAILED, why);
      return;
    }
    this._leg?.stop();
    this._leg?.close();
    this.#status = STREAM_STATUS.PENDING;
    this._emit(STREAM_STATUS.RESTARTING, this, why);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this._begin(), delay);
  }

  /** @internal The room was entered again: the server knows nothing of the old leg. */
  _rejoin() {
    if (this.ended || this.#stopping) return;
    this.#backoff = new Backoff(HEAL);
    this.#status = STREAM_STATUS.PENDING;
    this._emit(STREAM_STATUS.RESTARTING, this, 'The connection was lost');
    this._begin();
  }

  /** @internal The room is over. */
  _abandon() {
    if (this.ended) return;
    this._leg?.stop();
    this._finish(this._stoppedStatus, 'Stopped by session disconnect');
  }

  /**
   * @internal
   * @param {string} status
   * @param {string} info
   */
  _finish(status, info) {
    if (this.ended) return;
    clearTimeout(this.#timer);
    this.#info = info;
    this._leg?.close();
    this._room._streams.delete(this);
    this.#status = status;
    this._onEnd();
    const stopped = status !== STREAM_STATUS.FAILED;
    this._ready.reject(stopped ? new StreamError('STOPPED', info) : StreamError.failed(info));
    this._emit(status, this);
  }

  /** @internal @param {string} type @param {unknown} [payload] */
  _tell(type, payload) {
    this._emit(STREAM_EVENT, { mediaSessionId: this.id(), type, payload });
  }

  /** @param {any} status */
  #onStatus(status) {
    const info = typeof status.info === 'string' ? status.info : '';
    switch (status.status) {
      case 'PUBLISHING':
      case 'PLAYING':
        if (this.#stopping) return;
        this.#info = info;
        this.#liveSince = Date.now();
        this._onLive(status);
        this.#become(status.status);
        this._ready.resolve();
        break;
      case 'UNPUBLISHED':
      case 'STOPPED':
        this._finish(status.status, info);
        break;
      case 'FAILED':
        this.#onFailed(info);
        break;
      default:
        break;
    }
  }

  /** @param {string} info */
  #onFailed(info) {
    const { code } = StreamError.failed(info);
    const heals = code === 'ICE' || (code === 'NAME_IN_USE' && this.published());
    if (heals && !this.#stopping) this._restart(info);
    else if (this.#stopping) this._finish(this._stoppedStatus, info);
    else this._finish(STREAM_STATUS.FAILED, info);
  }

  /** @param {string} status */
  #become(status) {
    this.#status = status;
    this._emit(status, this);
  }
}
