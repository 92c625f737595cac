// The frame of the call: the bar above, the pictures, the chat, the buttons below.
import { dialog, inviteDialog } from './dialogs.js';
import { h, icon, isolated } from './dom.js';

const TOAST_MS = 6_000;
/** The room is in good order with these. */
const GOOD = ['ESTABLISHED', 'RECONNECTED', 'PUBLISHING'];
const BAD = ['RECONNECTING', 'DISCONNECTED', 'FAILED'];

export class CallView {
  /**
   * @param {string} room
   * @param {import('./stage.js').Stage} stage
   * @param {import('./chat.js').Chat} chat
   * @param {import('./dock.js').Dock} dock
   * @param {import('./picker.js').DevicePicker} picker
   */
  constructor(room, stage, chat, dock, picker) {
    this.stage = stage;
    this.status = h('span', { class: 'pill', id: 'status', title: 'Connection' });
    this.localStatus = h('span', { class: 'pill', id: 'localStatus', title: 'What you send' });
    this.count = h('span', { class: 'count' });
    this.banner = h('div', { class: 'banner', role: 'status', hidden: true });
    this.toasts = h('div', { class: 'toasts', role: 'status' });
    this.invite = inviteDialog(room, (words) => this.toast(words));
    this.settings = dialog('Devices', picker.root);
    this.heading = h('h1', { tabIndex: -1 }, isolated(room));
    const pills = h('span', { class: 'pills', role: 'status', 'aria-label': 'State' });
    pills.append(this.status, this.localStatus);
    this.root = h(
      'div',
      { class: 'call' },
      h('header', { class: 'top' }, this.heading, this.count, pills, this.#inviteButton('invite')),
      this.banner,
      stage.root,
      chat.root,
      dock.root,
      this.toasts,
      this.invite,
      this.settings,
    );
    stage.hint.append(
      h('p', {}, 'Nobody else is here yet.'),
      this.#inviteButton('button-main'),
    );
  }

  /** @param {string} style */
  #inviteButton(style) {
    return h(
      'button',
      { class: `button ${style}`, type: 'button', onclick: () => this.invite.showModal() },
      icon('invite'),
      h('span', {}, 'Invite'),
    );
  }

  /** Says something for a moment. @param {string} words */
  toast(words) {
    const toast = h('p', { class: 'toast' }, words);
    this.toasts.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  /**
   * @param {'status' | 'localStatus'} which
   * @param {string} word of the protocol
   */
  setStatus(which, word) {
    const pill = this[which];
    pill.textContent = word;
    pill.classList.toggle('pill-good', GOOD.includes(word));
    pill.classList.toggle('pill-bad', BAD.includes(word));
  }

  /** @param {number} others */
  setOthers(others) {
    const words = others === 0 ? 'Only you' : `${others + 1} people`;
    this.count.replaceChildren(icon('people'), words);
    this.stage.hint.hidden = others > 0;
  }

  /**
   * Says something until it is over; nothing with no words.
   *
   * @param {string} words
   * @param {...Node} more
   */
  setBanner(words, ...more) {
    this.banner.hidden = words === '';
    this.banner.replaceChildren(words, ...more);
  }
}
