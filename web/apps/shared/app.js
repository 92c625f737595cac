// One of the three apps: the lobby, the call, and what comes after it.
import { DeviceError, devices, ParlorError } from '../../sdk/index.js';
import { Call } from './call.js';
import { h, isolated } from './dom.js';
import { Lobby } from './lobby.js';
import { loadChoices, rememberRoom, saveChoices } from './settings.js';

/**
 * @typedef {object} AppConfig
 * @property {string} title
 * @property {string} lead
 * @property {'grid' | 'pair'} layout
 * @property {number} capacity people in the room, ourselves among them
 * @property {boolean} canShare
 * @property {MediaTrackConstraints} camera
 *
 * @typedef {import('./settings.js').Choices} Choices
 */

/** @param {AppConfig} config */
export function start(config) {
  const place = document.querySelector('main');
  if (!place) throw new Error('the page has a main element');
  new App(config, place).showLobby();
}

class App {
  #config;
  #place;
  #choices = loadChoices();

  /**
   * @param {AppConfig} config
   * @param {HTMLElement} place
   */
  constructor(config, place) {
    this.#config = config;
    this.#place = place;
  }

  /** @param {string} [error] */
  showLobby(error) {
    const { title, lead, camera } = this.#config;
    const lobby = new Lobby({
      title,
      lead,
      camera,
      error,
      choices: this.#choices,
      onJoin: (_, media) => this.#join(media, {
        joined: () => lobby.end(),
        failed: (why) => lobby.refuse(why),
      }),
    });
    document.title = `${title} – Parlor`;
    this.#show(lobby.root);
    lobby.start();
  }

  /**
   * @param {MediaStream} media
   * @param {{joined: () => void, failed: (why: string) => void}} outcome
   */
  async #join(media, { joined, failed }) {
    const choices = this.#choices;
    saveChoices(choices);
    const call = new Call({
      config: this.#config,
      choices,
      onEnd: (error) => {
        saveChoices(choices);
        this.#showLeft(error);
      },
    });
    try {
      await call.start(media);
    } catch (error) {
      failed(explain(error, this.#config.capacity));
      return;
    }
    joined();
    rememberRoom(choices.room);
    document.title = `${choices.room} – Parlor`;
    this.#show(call.view.root);
    call.stage.arrange();
    call.view.heading.focus();
  }

  /** @param {unknown} error */
  #showLeft(error) {
    const rejoin = h(
      'button',
      { class: 'button button-main', type: 'button', id: 'joinBtn', onclick: () => this.#rejoin() },
      'Rejoin',
    );
    const why = h('p', { class: 'form-error', role: 'alert', id: 'failedInfo' });
    const title = error ? 'The call ended' : 'You left the room';
    if (error) why.textContent = explain(error, this.#config.capacity);
    document.title = `${title} – Parlor`;
    this.#show(
      h(
        'div',
        { class: 'lobby' },
        h(
          'section',
          { class: 'card card-alone' },
          h('h1', { tabIndex: -1 }, title),
          h('p', { class: 'lead' }, 'Room: ', isolated(this.#choices.room)),
          why,
          rejoin,
          h(
            'button',
            { class: 'button', type: 'button', onclick: () => this.showLobby() },
            'Change name, room or devices',
          ),
          h('a', { class: 'button-link', href: '../../' }, 'Start page'),
        ),
      ),
    );
    rejoin.focus();
  }

  async #rejoin() {
    const button = /** @type {HTMLButtonElement} */ (this.#place.querySelector('#joinBtn'));
    button.disabled = true;
    button.textContent = 'Joining…';
    const { camera, microphone, cameraOn, microphoneOn } = this.#choices;
    const { media } = await devices.openAvailable({
      audio: microphoneOn && { deviceId: microphone || undefined },
      video: cameraOn && { ...this.#config.camera, deviceId: camera || undefined },
    });
    await this.#join(media, {
      joined: () => {},
      failed: (why) => {
        media.getTracks().forEach((track) => track.stop());
        this.showLobby(why);
      },
    });
  }

  /** @param {HTMLElement} view */
  #show(view) {
    this.#place.replaceChildren(view);
  }
}

/**
 * Why it did not work, and what to do.
 *
 * @param {unknown} error
 * @param {number} capacity
 */
function explain(error, capacity) {
  if (!(error instanceof ParlorError)) return `Something went wrong: ${error}`;
  if (error instanceof DeviceError) return error.message;
  switch (error.code) {
    case 'NAME_IN_USE':
      return 'Someone in this room has this name already. Choose another name.';
    case 'ROOM_FULL':
      return Number.isFinite(capacity)
        ? 'This room is full: two people are in it already. Choose another room.'
        : 'This room is full. Choose another room, or try later.';
    case 'UNREACHABLE':
      return 'The server cannot be reached. Check your network, and try again.';
    case 'TIMEOUT':
      return 'The server does not answer. Try again in a moment.';
    default:
      return /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  }
}
