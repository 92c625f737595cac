// Before the call: who you are, how you look and sound.
import { devices, meterLevel, warmUp } from '../../sdk/index.js';
import { h, icon, setIcon } from './dom.js';
import { DevicePicker } from './picker.js';

/**
 * @typedef {import('./settings.js').Choices} Choices
 *
 * @typedef {object} LobbyOptions
 * @property {string} title
 * @property {string} lead
 * @property {Choices} choices
 * @property {string} [error] why an earlier attempt failed
 * @property {MediaTrackConstraints} camera
 * @property {(choices: Choices, media: MediaStream) => void} onJoin
 */

export class Lobby {
  #options;
  #media = new MediaStream();
  #stopMeter = () => {};
  #watch = new AbortController();
  /** Openings overtake each other: only the last one counts. */
  #opening = 0;

  /** @param {LobbyOptions} options */
  constructor(options) {
    this.#options = options;
    const { choices, title, lead, error } = options;
    this.video = h('video', { autoplay: true, playsInline: true, muted: true, tabIndex: -1 });
    this.off = h('p', { class: 'preview-off' }, 'Camera is starting…');
    this.meter = h('div', {
      class: 'meter',
      role: 'meter',
      'aria-label': 'Microphone level',
      'aria-valuemin': '0',
      'aria-valuemax': '100',
      'aria-valuenow': '0',
    }, h('span', {}));
    this.microphone = this.#toggle('microphone', 'mic', () => this.#flip('microphoneOn'));
    this.camera = this.#toggle('camera', 'camera', () => this.#flip('cameraOn'));
    this.trouble = h('div', { class: 'trouble', role: 'status' });
    this.error = h('p', { class: 'form-error', role: 'alert', id: 'failedInfo' }, error ?? '');
    this.name = h('input', {
      id: 'login',
      value: choices.name,
      required: true,
      autocomplete: 'nickname',
      maxLength: 40,
      dir: 'auto',
      'aria-describedby': 'failedInfo',
    });
    this.room = h('input', {
      id: 'room',
      value: choices.room,
      required: true,
      autocomplete: 'off',
      spellcheck: false,
      maxLength: 60,
      dir: 'auto',
    });
    this.join = h(
      'button',
      { class: 'button button-main', type: 'submit', id: 'joinBtn' },
      'Join',
    );
    this.picker = new DevicePicker(choices, (kind) => {
      if (kind === 'camera') choices.cameraOn = true;
      if (kind === 'microphone') choices.microphoneOn = true;
      if (kind !== 'speaker') this.#open();
    });
    this.root = h(
      'div',
      { class: 'lobby' },
      h(
        'div',
        { class: 'lobby-inner' },
        h(
          'section',
          { class: 'preview', 'aria-label': 'Preview' },
          h(
            'div',
            { class: 'preview-picture' },
            this.video,
            this.off,
            h('div', { class: 'preview-tools' }, this.microphone, this.camera),
          ),
          this.meter,
          this.trouble,
        ),
        h(
          'form',
          {
            class: 'card',
            onsubmit: (/** @type {Event} */ event) => {
              event.preventDefault();
              this.#submit();
            },
          },
          h('h1', { tabIndex: -1 }, title),
          h('p', { class: 'lead' }, lead),
          h('label', { class: 'field' }, h('span', {}, 'Your name'), this.name),
          h('label', { class: 'field' }, h('span', {}, 'Room'), this.room),
          this.error,
          this.join,
        ),
        h('section', { class: 'lobby-devices', 'aria-label': 'Devices' }, this.picker.root),
      ),
    );
  }

  start() {
    devices.onChange(() => this.picker.refresh(this.#media), { signal: this.#watch.signal });
    if (!this.name.value) this.name.focus();
    return this.#open().then(warmUp);
  }

  /** Says why it could not join. @param {string} why */
  refuse(why) {
    this.error.textContent = why;
    this.setBusy(false);
  }

  /** @param {boolean} isBusy */
  setBusy(isBusy) {
    this.join.disabled = isBusy;
    this.join.textContent = isBusy ? 'Joining…' : 'Join';
  }

  /** Ends the preview; what is open is given away. */
  end() {
    this.#opening += 1;
    this.#watch.abort();
    this.#stopMeter();
    this.video.srcObject = null;
    return this.#media;
  }

  /**
   * @param {string} what
   * @param {import('./dom.js').IconName} name
   * @param {() => void} onclick
   */
  #toggle(what, name, onclick) {
    return h(
      'button',
      { class: 'button-round', type: 'button', 'data-what': what, onclick },
      icon(name),
    );
  }

  /** @param {'cameraOn' | 'microphoneOn'} which */
  #flip(which) {
    const { choices } = this.#options;
    choices[which] = !choices[which];
    this.#open();
  }

  async #open() {
    const { choices, camera } = this.#options;
    const mine = (this.#opening += 1);
    this.#close();
    this.#show();
    const audio = choices.microphoneOn && { deviceId: choices.microphone || undefined };
    const video = choices.cameraOn && { ...camera, deviceId: choices.camera || undefined };
    let { media, errors } = await devices.openAvailable({ audio, video });
    // A device of the last visit may be gone: any other will do.
    if (errors.audio?.code === 'GONE' || errors.video?.code === 'GONE') {
      media.getTracks().forEach((track) => track.stop());
      ({ media, errors } = await devices.openAvailable({ audio: Boolean(audio), video: camera }));
    }
    if (mine !== this.#opening) {
      media.getTracks().forEach((track) => track.stop());
      return;
    }
    this.#media = media;
    const sentences = new Set([errors.video?.message, errors.audio?.message].filter(Boolean));
    this.trouble.replaceChildren(
      ...[...sentences].map((text) => h('p', {}, /** @type {string} */ (text))),
      sentences.size > 0 ? h('p', {}, 'You can join all the same, to watch, listen and chat.') : '',
    );
    this.#stopMeter = meterLevel(media, (level) => this.#setLevel(level));
    this.#show();
    await this.picker.refresh(media);
  }

  #close() {
    this.#stopMeter();
    this.#setLevel(0);
    this.#media.getTracks().forEach((track) => track.stop());
    this.#media = new MediaStream();
  }

  #show() {
    const { choices } = this.#options;
    const hasVideo = this.#media.getVideoTracks().length > 0;
    const hasAudio = this.#media.getAudioTracks().length > 0;
    this.video.srcObject = hasVideo ? this.#media : null;
    this.video.hidden = !hasVideo;
    this.off.hidden = hasVideo;
    this.off.textContent = choices.cameraOn ? 'No camera picture' : 'Camera is off';
    this.#setToggle(this.microphone, 'microphone', choices.microphoneOn, hasAudio);
    this.#setToggle(this.camera, 'camera', choices.cameraOn, hasVideo);
  }

  /**
   * @param {HTMLElement} button
   * @param {'camera' | 'microphone'} what
   * @param {boolean} isOn
   * @param {boolean} isThere
   */
  #setToggle(button, what, isOn, isThere) {
    const base = what === 'camera' ? 'camera' : 'mic';
    setIcon(button, isOn ? base : `${base}Off`);
    button.classList.toggle('is-off', !isOn);
    button.classList.toggle('is-missing', isOn && !isThere);
    const label = `Turn ${what} ${isOn ? 'off' : 'on'}`;
    button.setAttribute('aria-label', label);
    button.title = label;
  }

  /** @param {number} level */
  #setLevel(level) {
    this.meter.style.setProperty('--level', level.toFixed(2));
    this.meter.setAttribute('aria-valuenow', String(Math.round(level * 100)));
  }

  #submit() {
    const { choices, onJoin } = this.#options;
    choices.name = this.name.value.trim();
    choices.room = this.room.value.trim();
    if (!choices.name || !choices.room) {
      this.refuse('Enter a name and a room.');
      return;
    }
    this.error.textContent = '';
    this.setBusy(true);
    onJoin(choices, this.#media);
  }
}
