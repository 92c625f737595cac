// The others in a room, and the streams they offer.
import { Playback } from './playback.js';

/** A stream that a participant publishes. */
export class StreamHandle {
  #participant;
  #name;
  /** @internal @type {Set<Playback>} */
  _playbacks = new Set();

  /**
   * @param {Participant} participant
   * @param {string} name
   */
  constructor(participant, name) {
    this.#participant = participant;
    this.#name = name;
  }

  streamName() {
    return this.#name;
  }

  /** The id of the first playback, `undefined` when the stream is not played. */
  id() {
    return this.playback()?.id();
  }

  /** The first playback of this stream. @returns {Playback | undefined} */
  playback() {
    return this._playbacks.values().next().value;
  }

  /** Whether the participant's screen is what the stream shows. */
  isScreen() {
    return this.#name.endsWith('-screenShare');
  }

  /**
   * Plays the stream. The playback is there at once; awaiting it waits until media is on its way.
   *
   * @param {HTMLElement | null} [display] a video element, or what a video is put into
   * @param {import('./playback.js').PlayOptions} [options]
   */
  play(display, options = {}) {
    return Playback._play(this.#participant._room, this, display ?? null, options);
  }

  /** Stops all playbacks of this stream. */
  stop() {
    for (const playback of this._playbacks) playback.stop();
  }
}

/** Someone else in the room. */
export class Participant {
  /** The streams by name. @type {Record<string, StreamHandle>} */
  streams = Object.create(null);
  /** Whether the participant is heard at this moment. */
  speaking = false;
  #name;

  /**
   * @param {import('./room.js').Room} room
   * @param {string} name
   */
  constructor(room, name) {
    /** @internal */
    this._room = room;
    this.#name = name;
  }

  name() {
    return this.#name;
  }

  getStreams() {
    return Object.values(this.streams);
  }

  /**
   * Says something to this participant alone.
   *
   * @param {string} text
   * @param {() => void} [onError] as in the published SDK; the promise tells more
   * @returns {Promise<void>}
   */
  sendMessage(text, onError) {
    const sent = this._room._say(text, this.#name);
    sent.catch(() => onError?.());
    return sent;
  }

  /** @internal @param {string} name */
  _addStream(name) {
    return (this.streams[name] ??= new StreamHandle(this, name));
  }

  /** @internal @param {string} name */
  _removeStream(name) {
    const stream = this.streams[name];
    delete this.streams[name];
    // The server says STOPPED to a playback; this is for those that wait to be healed.
    for (const playback of stream?._playbacks ?? []) playback._sourceGone();
    return stream;
  }
}
