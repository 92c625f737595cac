// A room: who is in it, what they say, and what we publish there.
import { Deferred } from './awaitable.js';
import { Backoff } from './backoff.js';
import { ROOM_EVENT } from './constants.js';
import { ParlorError, RoomError } from './errors.js';
import { Emitter } from './events.js';
import { Participant } from './participant.js';
import { Publication } from './publication.js';
import { takeToken } from './resume.js';

/**
 * @typedef {object} Message
 * @property {Participant | undefined} from who said it; `undefined` for who is not in the room
 * @property {string} name the login of who said it
 * @property {string} text to be shown as text, never as HTML
 * @property {Date} time
 * @property {boolean} all said to the whole room, not to us alone
 */

/** A place that is ours, on a server that has not noticed that we were gone, is free by then. */
const REENTER = { minDelayMs: 500, maxDelayMs: 3_000, giveUpAfterMs: 90_000 };

/**
 * Events (`ROOM_EVENT`): `STATE(room)` once we are in; `JOINED(participant)`,
 * `LEFT(participant)`, `PUBLISHED(participant, stream)`, `UNPUBLISHED(participant, stream)`,
 * `MESSAGE(message)`, `HISTORY(messages)`, `SPEAKING({login, participant, speaking})`,
 * `REJOINED(room)` after a lost connection, `FAILED(room, info, error)`.
 */
export class Room extends Emitter {
  /** @internal @type {Deferred<void>} */
  _ready = new Deferred();
  /** @internal Proves to the server that a place in the room is ours. @type {string | undefined} */
  _token;
  #session;
  #options;
  /** @type {Map<string, Participant>} */
  #participants = new Map();
  /** @internal @type {Set<import('./stream.js').Stream>} */
  _streams = new Set();
  /** Waits for STATE: a join is complete with it. @type {Deferred<void> | null} */
  #state = null;
  /** @type {Backoff | null} */
  #reentry = null;
  #inside = false;
  #closed = false;
  /** Whether we are heard at this moment. */
  speaking = false;

  /**
   * @param {import('./session.js').Session} session
   * @param {import('./session.js').JoinOptions} options
   */
  constructor(session, options) {
    super();
    this.#session = session;
    this.#options = options;
  }

  name() {
    return this.#options.name;
  }

  /** @internal */
  get _session() {
    return this.#session;
  }

  /** @internal Whether streams can be started at this moment. */
  get _inside() {
    return this.#inside && this.#session._established;
  }

  /** Everyone else in the room. */
  getParticipants() {
    return [...this.#participants.values()];
  }

  /**
   * Publishes camera and microphone, a screen, or a stream of the app's own. The publication is
   * there at once; awaiting it waits until the others can play it.
   *
   * @param {import('./publication.js').PublishOptions} [options]
   */
  publish(options = {}) {
    if (this.#closed || this.#session._ended) {
      throw new RoomError('LEFT', `Invalid session state ${this.#session.status()}`);
    }
    return Publication._publish(this, options);
  }

  /** The publications that have not ended. */
  getPublications() {
    return [...this._streams].filter((stream) => stream instanceof Publication);
  }

  /**
   * Says something to everyone in the room.
   *
   * @param {string} text
   * @returns {Promise<void>}
   */
  sendMessage(text) {
    if (this.#session._parlor) return this._say(text);
    // Another server knows only messages from one to one.
    const sent = Promise.all(this.getParticipants().map((each) => each.sendMessage(text)));
    sent.catch(() => {});
    return sent.then(() => {});
  }

  /**
   * Leaves the room. The streams end; the session stays, for another `join`.
   *
   * @returns {Promise<Room>}
   */
  async leave() {
    if (this.#closed) return this;
    const wasInside = this.#inside;
    try {
      // A join may be on its way: it is followed by the leave.
      if (this.#session._established) {
        await this.#session._command('leave', { name: this.name() });
      }
    } catch (error) {
      if (wasInside) throw error;
    } finally {
      this._close(new RoomError('LEFT', 'You left the room'));
    }
    return this;
  }

  /** The numbers of every stream that is on the air. */
  stats() {
    return Promise.all([...this._streams].map((stream) => stream.stats()));
  }

  /** @internal @param {unknown} reason */
  _abort(reason) {
    // The join is on its way: the leave follows it.
    this.#session._command('leave', { name: this.name() });
    this._close(reason);
  }

  /**
   * @internal
   * @param {string} text
   * @param {string} [to]
   * @returns {Promise<void>}
   */
  _say(text, to) {
    const options = { roomConfig: { name: this.name() }, to, text };
    const sent = this.#session._command('sendMessage', options).then(() => {});
    sent.catch(() => {});
    return sent;
  }

  /** @internal */
  async _enter() {
    const { name } = this.#options;
    const session = this.#session;
    this._token ??= takeToken(session.getServerUrl(), name, session.username());
    try {
      await this.#join();
      this._emit(ROOM_EVENT.STATE, this);
      this._ready.resolve();
    } catch (error) {
      if (this.#closed) return;
      this._fail(error);
    }
  }

  /** @internal Takes our place again after the connection was lost. */
  async _reenter() {
    // A first join that the loss cut off has failed already, and has told so.
    if (this.#closed || !this._ready.settled) return;
    this.#inside = false;
    this.#reentry = new Backoff(REENTER);
    const reentry = this.#reentry;
    for (;;) {
      try {
        await this.#join();
        break;
      } catch (error) {
        const isTaken = error instanceof RoomError && error.code === 'NAME_IN_USE';
        const delay = isTaken || !(error instanceof RoomError) ? this.#reentry.next() : null;
        // Another loss begins this anew.
        if (this.#closed || reentry !== this.#reentry || !this.#session._established) return;
        if (delay === null) {
          this._fail(error);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, delay));
        if (this.#closed || reentry !== this.#reentry || !this.#session._established) return;
      }
    }
    this._emit(ROOM_EVENT.REJOINED, this);
    for (const stream of [...this._streams]) stream._rejoin();
  }

  async #join() {
    const { name, record } = this.#options;
    const state = new Deferred();
    this.#state = state;
    // Answers come in either order: DataStatusEvent and STATE.
    const accepted = this.#session
      ._command('join', { name, record, history: true, resume: this._token })
      .then((status) => {
        this._token = status.resume;
      });
    accepted.catch(state.reject);
    await accepted;
    await state.promise;
    if (this.#closed) throw new RoomError('LEFT', 'You left the room');
    this.#inside = true;
  }

  /** @internal @param {unknown} error */
  _fail(error) {
    const info = error instanceof ParlorError ? error.message : String(error);
    this._close(error);
    this._emit(ROOM_EVENT.FAILED, this, info, error);
  }

  /** @internal @param {unknown} error */
  _close(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.#inside = false;
    this.#session._forget(this);
    for (const stream of [...this._streams]) stream._abandon();
    this.#participants.clear();
    this.#state?.reject(error);
    this._ready.reject(error);
  }

  /**
   * @internal
   * @param {string} event
   * @param {any} info
   */
  _onEvent(event, info) {
    if (this.#closed) return;
    switch (event) {
      case 'STATE':
        this.#onState(Array.isArray(info) ? info : []);
        break;
      case 'JOINED':
        if (typeof info === 'string') this._emit(ROOM_EVENT.JOINED, this.#add(info));
        break;
      case 'LEFT':
        this.#remove(info);
        break;
      case 'PUBLISHED':
        this.#onPublished(info?.login, info?.name);
        break;
      case 'UNPUBLISHED':
      case 'FAILED':
        this.#onUnpublished(info?.login, info?.name);
        break;
      case 'MESSAGE':
        this._emit(ROOM_EVENT.MESSAGE, this.#message(info));
        break;
      case 'HISTORY':
        if (Array.isArray(info)) {
          this._emit(ROOM_EVENT.HISTORY, info.map((each) => this.#message({ ...each, all: true })));
        }
        break;
      case 'SPEAKING':
        this.#onSpeaking(info?.login, info?.speaking === true);
        break;
      default:
        break;
    }
  }

  /** @param {any[]} entries */
  #onState(entries) {
    /** @type {Map<string, string[]>} */
    const streams = new Map();
    for (const entry of entries) {
      const login = typeof entry === 'string' ? entry : entry?.login;
      if (typeof login !== 'string') continue;
      const names = streams.get(login) ?? [];
      if (typeof entry?.name === 'string') names.push(entry.name);
      streams.set(login, names);
    }
    // What changed while we were away is told like any change; at first there is nobody to tell.
    const again = this._ready.settled;
    for (const login of [...this.#participants.keys()]) {
      if (again && !streams.has(login)) this.#remove(login);
    }
    for (const [login, names] of streams) {
      const known = this.#participants.get(login);
      const participant = known ?? this.#add(login);
      if (again && !known) this._emit(ROOM_EVENT.JOINED, participant);
      const gone = Object.keys(participant.streams).filter((name) => !names.includes(name));
      for (const name of gone) this.#onUnpublished(login, name);
      for (const name of names) {
        if (again) this.#onPublished(login, name);
        else participant._addStream(name);
      }
    }
    this.#state?.resolve();
  }

  /** @param {string} login */
  #add(login) {
    const participant = new Participant(this, login);
    this.#participants.set(login, participant);
    return participant;
  }

  /** @param {string} login */
  #remove(login) {
    const participant = this.#participants.get(login);
    if (!participant) return;
    for (const stream of participant.getStreams()) this.#onUnpublished(login, stream.streamName());
    this.#participants.delete(login);
    this._emit(ROOM_EVENT.LEFT, participant);
  }

  /**
   * @param {string} login
   * @param {string} name
   */
  #onPublished(login, name) {
    const participant = this.#participants.get(login);
    if (!participant || typeof name !== 'string' || participant.streams[name]) return;
    this._emit(ROOM_EVENT.PUBLISHED, participant, participant._addStream(name));
  }

  /**
   * @param {string} login
   * @param {string} name
   */
  #onUnpublished(login, name) {
    const participant = this.#participants.get(login);
    const stream = participant?._removeStream(name);
    if (stream) this._emit(ROOM_EVENT.UNPUBLISHED, participant, stream);
  }

  /**
   * @param {string} login
   * @param {boolean} speaking
   */
  #onSpeaking(login, speaking) {
    const participant = this.#participants.get(login);
    if (participant) participant.speaking = speaking;
    else if (login === this.#session.username()) this.speaking = speaking;
    this._emit(ROOM_EVENT.SPEAKING, { login, participant, speaking });
  }

  /**
   * @param {any} info
   * @returns {Message}
   */
  #message(info) {
    const name = String(info?.from ?? '');
    const age = Number(info?.age) || 0;
    return {
      from: this.#participants.get(name),
      name,
      text: String(info?.text ?? ''),
      time: new Date(Date.now() - age),
      all: info?.all === true,
    };
  }
}
