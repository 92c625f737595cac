// A stream of ours: camera and microphone, a screen, or what the app gives.
import { abortable, awaitable } from './awaitable.js';
import { applyPreferences, Codecs } from './codecs.js';
import { STREAM_EVENT_TYPE, STREAM_STATUS } from './constants.js';
import { open, openScreen, nextDevice } from './devices.js';
import { showIn } from './display.js';
import { DeviceError, StreamError } from './errors.js';
import { newTail } from './ids.js';
import { takePreview } from './preview.js';
import { Stream } from './stream.js';

/**
 * @typedef {'audio' | 'video'} Kind
 *
 * @typedef {object} PublishOptions
 * @property {string} [name] ends the name of the stream; `screenShare` marks a screen
 * @property {HTMLElement | null} [display] shows what is sent: a video element, or its place
 * @property {{audio?: any, video?: any, customStream?: MediaStream}} [constraints] what to open;
 *   `video.type: 'screen'` asks for a screen
 * @property {MediaStream} [mediaStream] what to send, in place of `constraints`
 * @property {boolean} [ownsMedia] `mediaStream` is given away: its tracks end with the publication
 * @property {boolean} [reserve] makes room for sound and picture even where there is no track
 *   yet, so that a camera can be turned on later without a gap
 * @property {number} [maxBitrate] of the picture, in kbit/s
 * @property {string} [videoContentHint] `motion`, `detail` or `text`
 * @property {AbortSignal} [signal] gives the publication up while it is not on the air
 */

const KINDS = /** @type {const} */ (['audio', 'video']);

/** A publication. Its tracks can be switched and muted while it is on the air. */
export class Publication extends Stream {
  #options;
  #name = '';
  #media = new MediaStream();
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  /** @type {Record<Kind, boolean>} */
  #muted = { audio: false, video: false };
  /** @type {Partial<Record<Kind, RTCRtpSender>>} */
  #senders = {};
  /** @type {Set<MediaStreamTrack>} */
  #owned = new Set();
  #codecs = new Codecs();
  #preview;
  #display;
  #errorInfo = '';

  /**
   * @internal
   * @param {import('./room.js').Room} room
   * @param {PublishOptions} options
   * @returns {import('./awaitable.js').Awaitable<Publication>}
   */
  static _publish(room, options) {
    const publication = new Publication(room, options);
    abortable(options.signal, publication._ready.promise, () => publication.stop());
    // The app adds its listeners before anything happens.
    queueMicrotask(() => publication.#open());
    return awaitable(publication, publication._ready.promise);
  }

  /**
   * @param {import('./room.js').Room} room
   * @param {PublishOptions} options
   */
  constructor(room, options) {
    super(room, 'publish');
    this.#options = options;
    const isScreen = options.constraints?.video?.type === 'screen';
    this.#preview = isScreen ? undefined : takePreview(options.display);
    this.#display = options.display ? showIn(options.display) : null;
    if (this.#display) this.#display.video.muted = true;
  }

  /** @override */
  name() {
    return this.#name;
  }

  /** What is sent. */
  mediaStream() {
    return this.#media;
  }

  /** What the browser said when it gave no camera or microphone. */
  getErrorInfo() {
    return this.#errorInfo;
  }

  isScreen() {
    return this.#options.name === 'screenShare';
  }

  /** @param {Kind} kind @returns {MediaStreamTrack | null} */
  track(kind) {
    return this.#tracks[kind];
  }

  muteAudio() {
    this.#mute('audio', true);
  }

  unmuteAudio() {
    this.#mute('audio', false);
  }

  muteVideo() {
    this.#mute('video', true);
  }

  unmuteVideo() {
    this.#mute('video', false);
  }

  isAudioMuted() {
    return this.#isMuted('audio');
  }

  isVideoMuted() {
    return this.#isMuted('video');
  }

  /**
   * Sends another track of this kind, or none. A kind that the publication had no room for makes
   * it restart.
   *
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   * @param {{owned?: boolean}} [options] an owned track ends when it is replaced
   */
  async replaceTrack(kind, track, { owned = false } = {}) {
    const before = this.#tracks[kind];
    this.#tracks[kind] = track;
    if (before && before !== track) this.#drop(before);
    if (track) this.#take(track, owned);
    const sender = this.#senders[kind];
    if (sender) await sender.replaceTrack(track);
    else if (track && !this.ended && this._leg) this._restart('A track was added');
    this.#showLocal();
    this.#tellMutes([kind]);
  }

  /**
   * Turns the camera on, or another one.
   *
   * @param {string} [deviceId]
   * @param {MediaTrackConstraints} [constraints]
   */
  async startCamera(deviceId, constraints) {
    await this.#startDevice('video', deviceId, constraints);
  }

  /** Turns the camera off, its light too. */
  async stopCamera() {
    this.#muted.video = true;
    await this.replaceTrack('video', null);
  }

  /**
   * Turns the microphone on, or another one.
   *
   * @param {string} [deviceId]
   * @param {MediaTrackConstraints} [constraints]
   */
  async startMicrophone(deviceId, constraints) {
    await this.#startDevice('audio', deviceId, constraints);
  }

  /**
   * Takes another camera, the next one without an id.
   *
   * @param {string} [deviceId]
   * @returns {Promise<string>} the id of the camera
   */
  async switchCam(deviceId) {
    const id = deviceId ?? (await nextDevice('videoinput', this.#tracks.video));
    await this.#startDevice('video', id, undefined, this.#muted.video);
    return this.#tracks.video?.getSettings().deviceId ?? id;
  }

  /**
   * Takes another microphone, the next one without an id.
   *
   * @param {string} [deviceId]
   * @returns {Promise<string>} the id of the microphone
   */
  async switchMic(deviceId) {
    const id = deviceId ?? (await nextDevice('audioinput', this.#tracks.audio));
    await this.#startDevice('audio', id, undefined, this.#muted.audio);
    return this.#tracks.audio?.getSettings().deviceId ?? id;
  }

  /** Sends a screen in place of the camera. */
  async switchToScreen() {
    const [track] = (await openScreen({ audio: false })).getVideoTracks();
    await this.replaceTrack('video', track, { owned: true });
  }

  /** Goes back to the camera. */
  async switchToCam() {
    await this.#startDevice('video');
  }

  /**
   * Limits what the picture costs.
   *
   * @param {{maxBitrate?: number, frameRate?: number, scaleResolutionDownBy?: number}} settings
   *   kbit/s, frames per second, divisor
   */
  async updateVideoSettings({ maxBitrate, frameRate, scaleResolutionDownBy }) {
    const sender = this.#senders.video;
    if (!sender) return;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings ?? []) {
      if (maxBitrate !== undefined) encoding.maxBitrate = maxBitrate * 1_000;
      if (frameRate !== undefined) encoding.maxFramerate = frameRate;
      if (scaleResolutionDownBy !== undefined) {
        encoding.scaleResolutionDownBy = scaleResolutionDownBy;
      }
    }
    await sender.setParameters(parameters);
  }

  /**
   * Sends a small object to everyone who plays the stream.
   *
   * @param {unknown} payload
   */
  sendData(payload) {
    if (!this.live) throw new StreamError('REFUSED', `Invalid stream state ${this.status()}`);
    this._leg?.sendEvent(STREAM_EVENT_TYPE.DATA, payload);
  }

  async #open() {
    const { mediaStream, constraints = { audio: true, video: true }, ownsMedia } = this.#options;
    let media = mediaStream ?? constraints.customStream;
    const owned = !media || ownsMedia === true;
    media ??= this.#preview;
    try {
      if (!media && constraints.video?.type === 'screen') media = await openScreen(constraints);
      media ??= await open(constraints);
    } catch (error) {
      this.#errorInfo = error instanceof DeviceError ? error.message : String(error);
      this._ready.reject(error);
      this._finish(STREAM_STATUS.FAILED, 'Local error');
      return;
    }
    for (const track of media.getTracks()) {
      const kind = /** @type {Kind} */ (track.kind);
      if (this.#tracks[kind]) continue;
      this.#tracks[kind] = track;
      this.#take(track, owned);
    }
    if (this.ended) this._onEnd();
    this.#showLocal();
    this._begin();
  }

  /** @internal @override */
  _nextLeg() {
    // Every leg has a name of its own: the server may not have let go of the last one.
    const { name: tail } = this.#options;
    const { _room: room } = this;
    const parts = [room.name(), room._session.username(), newTail(), ...(tail ? [tail] : [])];
    this.#name = parts.join('-');
    return {
      name: this.#name,
      body: {
        hasAudio: this.#sends('audio'),
        hasVideo: this.#sends('video'),
        constraints: { audio: this.#sends('audio'), video: this.#sends('video') },
        bitrate: 0,
        minBitrate: 0,
        maxBitrate: 0,
      },
      prepare: (/** @type {RTCPeerConnection} */ connection) => this.#prepare(connection),
    };
  }

  /** @internal @override */
  _onLive() {
    // Of a fresh leg the server believes that nothing is muted.
    this.#tellMutes(KINDS.filter((kind) => this.#isMuted(kind)));
    const { maxBitrate } = this.#options;
    if (maxBitrate) this.updateVideoSettings({ maxBitrate }).catch(() => {});
  }

  /** @internal @override @param {any} event */
  _onStreamEvent(event) {
    this._tell(event.type, event.payload);
    if (event.type !== STREAM_EVENT_TYPE.CODEC_MISMATCH) return;
    const senders = { audio: this.#senders.audio, video: this.#senders.video };
    if (this.#codecs.complain(event.payload, senders)) {
      this._restart('Someone cannot play the codec');
    }
  }

  /** @internal @override */
  _onEnd() {
    for (const track of this.#media.getTracks()) this.#drop(track);
    this.#display?.release();
  }

  /** @param {Kind} kind */
  #isMuted(kind) {
    return this.#muted[kind] || !this.#tracks[kind];
  }

  /** @param {Kind} kind */
  #sends(kind) {
    return this.#tracks[kind] !== null || this.#options.reserve === true;
  }

  /** @param {RTCPeerConnection} connection */
  #prepare(connection) {
    this.#senders = {};
    for (const kind of KINDS) {
      if (!this.#sends(kind)) continue;
      const transceiver = connection.addTransceiver(this.#tracks[kind] ?? kind, {
        direction: 'sendonly',
        streams: [this.#media],
      });
      applyPreferences(transceiver, kind, this.#codecs.allowed(kind));
      this.#senders[kind] = transceiver.sender;
    }
  }

  /**
   * @param {Kind} kind
   * @param {string} [deviceId]
   * @param {MediaTrackConstraints} [constraints]
   * @param {boolean} [muted] of the new track
   */
  async #startDevice(kind, deviceId, constraints, muted = false) {
    const asked = { ...this.#constraintsOf(kind), ...constraints, ...(deviceId && { deviceId }) };
    const before = this.#tracks[kind];
    // Phones open one camera at a time.
    if (kind === 'video' && before && this.#owned.has(before)) before.stop();
    const media = await open({ [kind]: asked });
    this.#muted[kind] = muted;
    await this.replaceTrack(kind, media.getTracks()[0], { owned: true });
  }

  /** @param {Kind} kind @returns {MediaTrackConstraints} */
  #constraintsOf(kind) {
    const asked = this.#options.constraints?.[kind];
    if (typeof asked !== 'object') return {};
    const { deviceId, type, ...rest } = asked;
    return rest;
  }

  /**
   * @param {Kind} kind
   * @param {boolean} muted
   */
  #mute(kind, muted) {
    this.#muted[kind] = muted;
    const track = this.#tracks[kind];
    if (track) track.enabled = !muted;
    this.#tellMutes([kind]);
  }

  /** @param {readonly Kind[]} kinds */
  #tellMutes(kinds) {
    if (!this._leg) return;
    for (const kind of kinds) {
      const word = this.#isMuted(kind) ? 'Muted' : 'Unmuted';
      if (this.#sends(kind)) this._leg.sendEvent(`${kind}${word}`);
    }
  }

  /**
   * @param {MediaStreamTrack} track
   * @param {boolean} owned
   */
  #take(track, owned) {
    const kind = /** @type {Kind} */ (track.kind);
    track.enabled = !this.#muted[kind];
    if (owned) this.#owned.add(track);
    if (kind === 'video') {
      track.contentHint = this.#options.videoContentHint ?? (this.isScreen() ? 'detail' : 'motion');
    }
    this.#media.addTrack(track);
    track.onended = () => this.#onTrackEnded(kind, track);
  }

  /** @param {MediaStreamTrack} track */
  #drop(track) {
    track.onended = null;
    this.#media.removeTrack(track);
    if (this.#owned.delete(track)) track.stop();
  }

  /**
   * The device was unplugged, or the browser's own button has ended the sharing.
   *
   * @param {Kind} kind
   * @param {MediaStreamTrack} track
   */
  #onTrackEnded(kind, track) {
    if (this.#tracks[kind] !== track) return;
    if (this.isScreen()) {
      if (kind === 'video') this.stop();
      return;
    }
    this.replaceTrack(kind, null).catch(() => {});
    this._tell(STREAM_EVENT_TYPE.DEVICE_LOST, { kind });
  }

  #showLocal() {
    this.#display?.show(this.#media);
    this.#display?.video.play().catch(() => {});
  }
}
