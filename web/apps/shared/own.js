// What we send: camera and microphone, and the screen.
import {
  DeviceError, QUALITY, STREAM_EVENT, STREAM_EVENT_TYPE, STREAM_STATUS,
} from '../../sdk/index.js';
import { Tile } from './tile.js';

/**
 * @typedef {import('../../sdk/index.js').Room} Room
 * @typedef {import('../../sdk/index.js').Publication} Publication
 * @typedef {import('./settings.js').Choices} Choices
 *
 * @typedef {object} OwnHandlers
 * @property {(words: string) => void} onTrouble
 * @property {(status: string) => void} onStatus
 */

const STATS_MS = 2_000;

export class Own {
  /** @type {Publication | null} */
  #screen = null;
  /** @type {Tile | null} */
  #screenTile = null;
  #room;
  #stage;
  #dock;
  #choices;
  #handlers;
  #camera;
  #timer;

  /**
   * @param {Room} room
   * @param {import('./stage.js').Stage} stage
   * @param {import('./dock.js').Dock} dock
   * @param {Choices} choices
   * @param {MediaTrackConstraints} camera
   * @param {OwnHandlers} handlers
   */
  constructor(room, stage, dock, choices, camera, handlers) {
    this.#room = room;
    this.#stage = stage;
    this.#dock = dock;
    this.#choices = choices;
    this.#camera = camera;
    this.#handlers = handlers;
    this.tile = new Tile({
      login: choices.name,
      isSelf: true,
      onPin: (tile) => stage.togglePin(tile),
    });
    stage.add(this.tile);
    this.#timer = setInterval(() => this.#look(), STATS_MS);
  }

  end() {
    clearInterval(this.#timer);
  }

  /** @param {MediaStream} media */
  publish(media) {
    this.publication = this.#room.publish({
      mediaStream: media,
      ownsMedia: true,
      reserve: true,
      display: this.tile.video,
      constraints: { audio: true, video: this.#camera },
    });
    for (const status of Object.values(STREAM_STATUS)) {
      this.publication.on(status, () => this.#onStatus());
    }
    this.publication.on(STREAM_EVENT, (event) => this.#onEvent(event));
    this.#show();
  }

  async toggleMicrophone() {
    const { publication } = this;
    if (!publication) return;
    const isOn = publication.isAudioMuted();
    this.#choices.microphoneOn = isOn;
    if (!isOn) publication.muteAudio();
    else if (publication.track('audio')) publication.unmuteAudio();
    else await this.#try(() => publication.startMicrophone(this.#choices.microphone || undefined));
    this.#show();
  }

  async toggleCamera() {
    const { publication } = this;
    if (!publication) return;
    const isOn = publication.isVideoMuted();
    this.#choices.cameraOn = isOn;
    this.#dock.setBusy('camera', true);
    if (isOn) {
      await this.#try(() =>
        publication.startCamera(this.#choices.camera || undefined, this.#camera));
    } else await publication.stopCamera();
    this.#dock.setBusy('camera', false);
    this.#show();
  }

  /** Another device was chosen. @param {'camera' | 'microphone'} kind */
  async changeDevice(kind) {
    const { publication } = this;
    if (!publication) return;
    const id = this.#choices[kind] || undefined;
    if (kind === 'camera' && !publication.isVideoMuted()) {
      await this.#try(() => publication.startCamera(id, this.#camera));
    }
    if (kind === 'microphone' && publication.track('audio')) {
      await this.#try(() => publication.switchMic(id));
    }
    this.#show();
  }

  async toggleScreen() {
    if (this.#screen) {
      this.#screen.stop();
      return;
    }
    const tile = new Tile({ login: this.#choices.name, isSelf: true, isScreen: true });
    const screen = this.#room.publish({
      name: 'screenShare',
      display: tile.video,
      constraints: { audio: true, video: { type: 'screen' } },
    });
    this.#screen = screen;
    this.#dock.setBusy('screen', true);
    screen.on(STREAM_STATUS.PUBLISHING, () => this.#onScreen(tile));
    screen.on(STREAM_STATUS.UNPUBLISHED, () => this.#screenEnded());
    screen.on(STREAM_STATUS.FAILED, () => this.#screenEnded());
    try {
      await screen;
    } catch (error) {
      const isChoice = error instanceof DeviceError && error.code === 'CANCELLED';
      if (!isChoice) this.#handlers.onTrouble(wordsOf(error));
    } finally {
      this.#dock.setBusy('screen', false);
    }
  }

  /** @param {boolean} isSpeaking */
  setSpeaking(isSpeaking) {
    this.tile.setSpeaking(isSpeaking);
  }

  /** @param {Tile} tile */
  #onScreen(tile) {
    tile.setVideoOff(false);
    tile.setStatus('PUBLISHING');
    if (!this.#screenTile) {
      this.#screenTile = tile;
      this.#stage.add(tile);
    }
    this.#dock.setScreen(true);
  }

  #screenEnded() {
    if (this.#screenTile) this.#stage.remove(this.#screenTile);
    this.#screen = null;
    this.#screenTile = null;
    this.#dock.setScreen(false);
  }

  #onStatus() {
    const status = this.publication?.status() ?? '';
    this.tile.setStatus(status);
    this.#handlers.onStatus(status);
    if (status === STREAM_STATUS.FAILED) {
      this.#handlers.onTrouble(`You are not seen or heard: ${this.publication?.getInfo()}`);
    }
    this.#show();
  }

  /** @param {{type: string, payload: any}} event */
  #onEvent({ type, payload }) {
    if (type === STREAM_EVENT_TYPE.DEVICE_LOST) {
      const device = payload.kind === 'video' ? 'camera' : 'microphone';
      this.#handlers.onTrouble(`The ${device} is gone. Choose another one under “Devices”.`);
    }
    this.#show();
  }

  #show() {
    const { publication } = this;
    if (!publication) return;
    this.tile.setMuted(publication.isAudioMuted());
    this.tile.setVideoOff(publication.isVideoMuted());
    this.#dock.setMicrophone(!publication.isAudioMuted());
    this.#dock.setCamera(!publication.isVideoMuted());
  }

  /** @param {() => Promise<unknown>} open */
  async #try(open) {
    try {
      await open();
    } catch (error) {
      this.#handlers.onTrouble(wordsOf(error));
    }
  }

  async #look() {
    const { publication } = this;
    if (!publication?.live) return;
    const { quality } = await publication.stats();
    this.tile.setQuality(quality ?? QUALITY.GOOD);
  }
}

/** @param {unknown} error */
export function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}
