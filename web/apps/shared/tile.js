// One picture on the stage, with its name and its marks.
import { h, icon, isolated } from './dom.js';

/**
 * @typedef {object} TileOptions
 * @property {string} login
 * @property {boolean} [isSelf]
 * @property {boolean} [isScreen]
 * @property {(tile: Tile) => void} [onPin]
 */

/** Hues that keep white initials readable. */
const HUES = 12;

export class Tile {
  /** @param {TileOptions} options */
  constructor({ login, isSelf = false, isScreen = false, onPin }) {
    this.login = login;
    this.isSelf = isSelf;
    this.isScreen = isScreen;
    this.video = h('video', { autoplay: true, playsInline: true, muted: isSelf, tabIndex: -1 });
    this.statusText = h('span', { class: 'tile-status' });
    this.micMark = h('span', { class: 'mark mark-muted', hidden: true }, icon('micOff'));
    this.weakMark = h('span', { class: 'mark mark-weak', hidden: true }, icon('weak'));
    this.hint = h('p', { class: 'tile-hint', hidden: true });
    this.pin = h(
      'button',
      { class: 'tile-pin', type: 'button', onclick: () => onPin?.(this) },
      icon('pin'),
    );
    this.root = h(
      'li',
      { class: 'tile', 'data-login': login, 'data-hue': String(hueOf(login)) },
      h('div', { class: 'avatar', 'aria-hidden': 'true' }, h('span', {}, initials(login))),
      this.video,
      this.hint,
      h(
        'div',
        { class: 'plate' },
        this.micMark,
        this.weakMark,
        h('span', { class: 'tile-name' }, isolated(login), this.#suffix()),
        this.statusText,
      ),
      onPin ? this.pin : null,
    );
    this.root.classList.toggle('tile-self', isSelf);
    this.root.classList.toggle('tile-screen', isScreen);
    this.video.addEventListener('resize', () => {
      this.root.classList.toggle('tile-tall', this.video.videoHeight > this.video.videoWidth);
    });
    this.setVideoOff(true);
    this.setPinned(false);
  }

  #suffix() {
    if (this.isSelf && this.isScreen) return ' (your screen)';
    if (this.isSelf) return ' (you)';
    return this.isScreen ? '’s screen' : '';
  }

  /** The word of the protocol; hidden once pictures come. @param {string} word */
  setStatus(word) {
    this.root.dataset.status = word;
    const isQuiet = word === 'PLAYING' || word === 'PUBLISHING' || word === '';
    this.statusText.textContent = isQuiet ? '' : word;
  }

  /** A sentence over the picture. @param {string} text */
  setHint(text) {
    this.hint.textContent = text;
    this.hint.hidden = text === '';
  }

  /** @param {boolean} isMuted */
  setMuted(isMuted) {
    this.micMark.hidden = !isMuted;
    label(this.micMark, isMuted ? 'muted' : '');
    this.root.dataset.muted = String(isMuted);
  }

  /** @param {boolean} isOff */
  setVideoOff(isOff) {
    this.root.classList.toggle('tile-dark', isOff);
  }

  /** @param {boolean} isSpeaking */
  setSpeaking(isSpeaking) {
    this.root.classList.toggle('tile-speaking', isSpeaking);
    this.root.dataset.speaking = String(isSpeaking);
  }

  /** @param {string} quality */
  setQuality(quality) {
    this.weakMark.hidden = quality !== 'poor';
    label(this.weakMark, quality === 'poor' ? 'poor connection' : '');
    this.root.dataset.quality = quality;
  }

  /** @param {boolean} isPinned */
  setPinned(isPinned) {
    const verb = isPinned ? 'Unpin' : 'Pin';
    this.pin.setAttribute('aria-pressed', String(isPinned));
    this.pin.setAttribute('aria-label', `${verb} ${this.login}${this.#suffix()}`);
    this.pin.title = verb;
  }
}

/**
 * Words for those who do not see the mark.
 *
 * @param {HTMLElement} mark
 * @param {string} words
 */
function label(mark, words) {
  mark.querySelector('.spoken')?.remove();
  mark.title = words;
  if (words) mark.append(h('span', { class: 'spoken' }, words));
}

/** @param {string} login */
function initials(login) {
  const words = login.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words.slice(0, 1);
  const segments = letters.map((word) => firstGrapheme(word).toLocaleUpperCase());
  return segments.join('');
}

/** @param {string} word */
function firstGrapheme(word) {
  if (typeof Intl.Segmenter !== 'function') return [...word][0] ?? '';
  const [first] = new Intl.Segmenter().segment(word);
  return first?.segment ?? '';
}

/** @param {string} login */
function hueOf(login) {
  let sum = 7;
  for (const letter of login) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9_973;
  return sum % HUES;
}
