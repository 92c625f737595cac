// A stream of someone else, played here.
import { abortable, awaitable } from './awaitable.js';
import { STREAM_EVENT_TYPE } from './constants.js';
import { Stream } from './stream.js';
import { showIn } from './display.js';

/**
 * @typedef {object} PlayOptions
 * @property {{audio?: any, video?: any}} [constraints] `false` leaves one of the two out
 * @property {boolean} [unmutePlayOnStart] `false` starts without sound
 * @property {AbortSignal} [signal] gives the playback up while it is not on the air
 */

/** A playback. Its video element, its sound and its picture's state. */
export class Playback extends Stream {
  #handle;
  #options;
  #display;
  #media = new MediaStream();
  /** @type {{muted: boolean}} */
  #audioState = { muted: false };
  /** @type {{muted: boolean}} */
  #videoState = { muted: false };
  /** @type {string | undefined} */
  #output;

  /**
   * @internal
   * @param {import('./room.js').Room} room
   * @param {import('./participant.js').StreamHandle} handle
   * @param {HTMLElement | null} display
   * @param {PlayOptions} options
   * @returns {import('./awaitable.js').Awaitable<Playback>}
   */
  static _play(room, handle, display, options) {
    const playback = new Playback(room, handle, display, options);
    handle._playbacks.add(playback);
    abortable(options.signal, playback._ready.promise, () => playback.stop());
    // The app adds its listeners before anything happens.
    queueMicrotask(() => playback._begin());
    return awaitable(playback, playback._ready.promise);
  }

  /**
   * @param {import('./room.js').Room} room
   * @param {import('./participant.js').StreamHandle} handle
   * @param {HTMLElement | null} display
   * @param {PlayOptions} options
   */
  constructor(room, handle, display, options) {
    super(room, 'play');
    this.#handle = handle;
    this.#options = options;
    this.#display = display ? showIn(display) : null;
    if (this.#display && options.unmutePlayOnStart === false) this.#display.video.muted = true;
  }

  /** @override */
  name() {
    return this.#handle.streamName();
  }

  /** What comes in, for elements of the app's own. It changes when the stream is healed. */
  mediaStream() {
    return this.#media;
  }

  /** The video element, when there is one. */
  element() {
    return this.#display?.video ?? null;
  }

  /** Whether the publisher has muted the sound. */
  getAudioState() {
    return this.#audioState;
  }

  /** Whether the publisher has turned the picture off. */
  getVideoState() {
    return this.#videoState;
  }

  videoResolution() {
    const video = this.#display?.video;
    return { width: video?.videoWidth ?? 0, height: video?.videoHeight ?? 0 };
  }

  muteRemoteAudio() {
    if (this.#display) this.#display.video.muted = true;
  }

  unmuteRemoteAudio() {
    if (!this.#display) return;
    this.#display.video.muted = false;
    this.#start();
  }

  isRemoteAudioMuted() {
    return this.#display?.video.muted ?? false;
  }

  /** @param {number} percent */
  setVolume(percent) {
    if (this.#display) this.#display.video.volume = Math.min(100, Math.max(0, percent)) / 100;
  }

  getVolume() {
    return Math.round((this.#display?.video.volume ?? 1) * 100);
  }

  /** @param {string} deviceId of a loudspeaker */
  async setAudioOutputId(deviceId) {
    this.#output = deviceId;
    await this.#display?.video.setSinkId?.(deviceId);
  }

  fullScreen() {
    return this.#display?.video.requestFullscreen();
  }

  /** @internal The participant has taken the stream back. */
  _sourceGone() {
    // A playback on the air is told by the server, with the reason.
    if (!this.live) this._finish(this._stoppedStatus, 'Stopped by publisher stop');
  }

  /** @internal @override */
  _nextLeg() {
    const { constraints = {} } = this.#options;
    return {
      name: this.name(),
      body: { width: 0, height: 0, bitrate: 0, quality: 0 },
      prepare: (/** @type {RTCPeerConnection} */ connection) => {
        const media = new MediaStream();
        connection.ontrack = ({ track }) => {
          media.addTrack(track);
          this.#show(media);
        };
        for (const kind of /** @type {const} */ (['audio', 'video'])) {
          if (constraints[kind] !== false) {
            connection.addTransceiver(kind, { direction: 'recvonly' });
          }
        }
      },
    };
  }

  /** @internal @override @param {any} status */
  _onLive(status) {
    this.#audioState = { muted: status.audioState?.muted === true };
    this.#videoState = { muted: status.videoState?.muted === true };
  }

  /** @internal @override @param {any} event */
  _onStreamEvent(event) {
    if (event.type === STREAM_EVENT_TYPE.AUDIO_MUTED) this.#audioState = { muted: true };
    if (event.type === STREAM_EVENT_TYPE.AUDIO_UNMUTED) this.#audioState = { muted: false };
    if (event.type === STREAM_EVENT_TYPE.VIDEO_MUTED) this.#videoState = { muted: true };
    if (event.type === STREAM_EVENT_TYPE.VIDEO_UNMUTED) this.#videoState = { muted: false };
    this._tell(event.type, event.payload);
  }

  /** @internal @override */
  _onEnd() {
    this.#handle._playbacks.delete(this);
    this.#display?.release();
  }

  /** @param {MediaStream} media */
  #show(media) {
    this.#media = media;
    if (!this.#display) return;
    const { video, isOurs } = this.#display;
    // The published SDK's apps find the element by the id of the stream.
    if (isOurs) video.id = this.id() ?? '';
    this.#display.show(media);
    if (this.#output) video.setSinkId?.(this.#output).catch(() => {});
    this.#start();
  }

  #start() {
    const video = this.#display?.video;
    video?.play().catch((error) => {
      // A page that nobody has touched may show pictures only.
      if (error.name !== 'NotAllowedError' || video.muted) return;
      video.muted = true;
      video.play().catch(() => {});
      this._tell(STREAM_EVENT_TYPE.UNMUTE_REQUIRED);
    });
  }
}
