// One peer connection with the server, from its offer to its end. A stream that is healed goes on
// with another leg: the protocol knows no renegotiation.
import { newId } from './ids.js';

/** How long a connection may be `disconnected` before it counts as broken. */
const DISCONNECTED_MS = 4_000;

/**
 * @typedef {object} LegOptions
 * @property {import('./session.js').Session} session
 * @property {'publish' | 'play'} direction
 * @property {string} name of the stream
 * @property {string} room
 * @property {object} body further fields of the request
 * @property {(connection: RTCPeerConnection) => void} prepare adds what is sent or received
 *
 * @typedef {object} LegHandlers
 * @property {(status: any) => void} onStatus
 * @property {(event: any) => void} onEvent
 * @property {(why: string) => void} onBroken once
 */

export class Leg {
  id = newId();
  /** @type {LegHandlers | null} */
  #handlers;
  #options;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  /**
   * @param {LegOptions} options
   * @param {LegHandlers} handlers
   */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
    // Not `max-bundle`: Chromium takes no answer then that refuses the first media section, as
    // that of a stream without sound does.
    this.connection = new RTCPeerConnection({ iceServers: [], ...options.session._mediaOptions });
    this.connection.onconnectionstatechange = () => this.#onState();
  }

  get name() {
    return this.#options.name;
  }

  /** Makes the offer and sends it. */
  async start() {
    const { session, direction, name, room, body, prepare } = this.#options;
    session._legs.set(this.id, this);
    try {
      prepare(this.connection);
      const offer = await this.connection.createOffer();
      await this.connection.setLocalDescription(direction === 'play' ? inStereo(offer) : offer);
    } catch (error) {
      this.#break(`No offer could be made: ${error}`);
      return;
    }
    if (!this.#handlers) return;
    const sdp = this.connection.localDescription?.sdp;
    this.#send(direction === 'publish' ? 'publishStream' : 'playStream', {
      ...body,
      sdp,
      status: 'PENDING',
      mediaProvider: 'WebRTC',
      custom: { name: room },
    }) || this.#break(`${name} could not be asked for`);
  }

  /** Asks the server to end the stream; `false` when it cannot be asked. */
  stop() {
    const publishes = this.#options.direction === 'publish';
    return this.#send(publishes ? 'unPublishStream' : 'stopStream', {
      status: publishes ? 'PUBLISHING' : 'PLAYING',
    });
  }

  /**
   * @param {string} type
   * @param {unknown} [payload]
   */
  sendEvent(type, payload) {
    return this.#options.session._send('sendStreamEvent', {
      mediaSessionId: this.id,
      type,
      payload,
    });
  }

  /** Closes the connection and hears of nothing any more. */
  close() {
    this.#handlers = null;
    clearTimeout(this.#patience);
    this.#options.session._legs.delete(this.id);
    this.connection.onconnectionstatechange = null;
    this.connection.ontrack = null;
    this.connection.close();
  }

  /** Closes the connection; what the server says of it is still heard. */
  hush() {
    clearTimeout(this.#patience);
    this.connection.onconnectionstatechange = null;
    this.connection.close();
  }

  /** @internal @param {unknown} sdp */
  async _onAnswer(sdp) {
    if (typeof sdp !== 'string' || this.connection.signalingState !== 'have-local-offer') return;
    try {
      await this.connection.setRemoteDescription({ type: 'answer', sdp });
    } catch (error) {
      this.#break(`The answer was not understood: ${error}`);
    }
  }

  /** @internal @param {any} status */
  _onStatus(status) {
    this.#handlers?.onStatus(status);
  }

  /** @internal @param {any} event */
  _onEvent(event) {
    this.#handlers?.onEvent(event);
  }

  /**
   * @param {string} message
   * @param {object} fields
   */
  #send(message, fields) {
    const { session, direction, name } = this.#options;
    return session._send(message, {
      mediaSessionId: this.id,
      name,
      published: direction === 'publish',
      hasVideo: true,
      hasAudio: true,
      record: false,
      ...fields,
    });
  }

  #onState() {
    const state = this.connection.connectionState;
    clearTimeout(this.#patience);
    if (state === 'failed') this.#break('Failed by ICE error');
    if (state === 'disconnected') {
      this.#patience = setTimeout(() => this.#break('Failed by ICE keep alive'), DISCONNECTED_MS);
    }
  }

  /** @param {string} why */
  #break(why) {
    const handlers = this.#handlers;
    if (handlers) handlers.onBroken(why);
  }
}

/**
 * The offer, with stereo asked for: browsers play Opus in mono otherwise, whatever is in it
 * (RFC 7587 §7.1).
 *
 * @param {RTCSessionDescriptionInit} offer
 * @returns {RTCSessionDescriptionInit}
 */
function inStereo({ type, sdp = '' }) {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2$/im.exec(sdp)?.[1];
  const parameters = new RegExp(`^a=fmtp:${opus} (?!.*\\bstereo=).*$`, 'm');
  return { type, sdp: sdp.replace(parameters, '$&;stereo=1') };
}
