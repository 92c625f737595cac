// The chat: what was said, by whom and when, and who came and went.
import { h, icon, isolated } from './dom.js';

/**
 * @typedef {object} Entry
 * @property {Date} time
 * @property {string} [name] who said it; nobody for a note
 * @property {string} text
 * @property {boolean} [isOwn]
 * @property {boolean} [isKept] the server keeps it: its history has it
 */

/** More than the server keeps; older ones leave the page. */
const MOST = 500;
/** The server takes 32 KiB; nobody reads as much. */
export const MESSAGE_BYTES = 32 * 1024;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export class Chat {
  #unread = 0;
  #send;
  #onUnread;

  /**
   * @param {(text: string) => Promise<void>} send
   * @param {{onClose: () => void, onUnread: (count: number) => void}} handlers
   */
  constructor(send, { onClose, onUnread }) {
    this.#send = send;
    this.#onUnread = onUnread;
    this.log = h('div', {
      class: 'chat-log',
      id: 'chat',
      role: 'log',
      'aria-live': 'polite',
      'aria-label': 'Messages',
      tabIndex: 0,
    });
    this.error = h('p', { class: 'chat-error', role: 'alert', hidden: true });
    this.field = h('textarea', {
      id: 'message',
      rows: 1,
      placeholder: 'Message to everyone',
      'aria-label': 'Message to everyone',
      dir: 'auto',
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#onKey(event),
      oninput: () => this.#grow(),
    });
    this.root = h(
      'aside',
      { class: 'chat', id: 'chat-panel', 'aria-label': 'Chat' },
      h(
        'header',
        { class: 'chat-head' },
        h('h2', {}, 'Chat'),
        h(
          'button',
          { class: 'button-quiet', type: 'button', 'aria-label': 'Close chat', onclick: onClose },
          icon('close'),
        ),
      ),
      this.log,
      this.error,
      h(
        'form',
        {
          class: 'chat-form',
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#submit();
          },
        },
        this.field,
        h(
          'button',
          { class: 'button-round', type: 'submit', 'aria-label': 'Send', title: 'Send' },
          icon('send'),
        ),
      ),
    );
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** @param {boolean} isOpen */
  setOpen(isOpen) {
    this.root.hidden = !isOpen;
    if (!isOpen) return;
    this.#unread = 0;
    this.#onUnread(0);
    this.log.scrollTop = this.log.scrollHeight;
  }

  /**
   * A line about the room itself: words, with the names of people among them.
   *
   * @param {string} before
   * @param {string[]} [names]
   * @param {string} [after]
   */
  note(before, names = [], after = '') {
    const time = new Date();
    this.#append({ time, text: before }, noteLine(time, before, names, after));
  }

  /** @param {Entry} entry */
  say(entry) {
    this.#append(entry, messageLine(entry));
    if (entry.isOwn) return;
    if (!this.isOpen) {
      this.#unread += 1;
      this.#onUnread(this.#unread);
    }
  }

  /**
   * Takes the room's memory, in place of what the page has of it.
   *
   * @param {Entry[]} history
   */
  remember(history) {
    const kept = [...this.log.children].filter((line) => line.classList.contains('kept'));
    kept.forEach((line) => line.remove());
    const lines = history.map((entry) => messageLine({ ...entry, isKept: true }));
    const notes = [...this.log.children].map((line) => /** @type {HTMLElement} */ (line));
    const all = [...lines, ...notes].sort((a, b) => timeOf(a) - timeOf(b));
    this.log.replaceChildren(...all);
    this.log.scrollTop = this.log.scrollHeight;
  }

  /**
   * @param {Entry} entry
   * @param {HTMLElement} line
   */
  #append(entry, line) {
    const { log } = this;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    log.append(line);
    while (log.children.length > MOST) log.firstElementChild?.remove();
    if (isAtEnd || entry.isOwn) log.scrollTop = log.scrollHeight;
  }

  async #submit() {
    const text = this.field.value.trim();
    if (!text) return;
    if (new TextEncoder().encode(text).length > MESSAGE_BYTES) {
      this.#refuse(`A message has at most ${MESSAGE_BYTES / 1024} kB. Say it in several.`);
      return;
    }
    this.#refuse('');
    try {
      await this.#send(text);
      if (this.field.value.trim() === text) this.field.value = '';
      this.#grow();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#refuse(`Not sent: ${why}.`.replace('..', '.'));
    }
  }

  /** @param {string} why */
  #refuse(why) {
    this.error.textContent = why;
    this.error.hidden = why === '';
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #grow() {
    this.field.rows = Math.min(5, this.field.value.split('\n').length);
  }
}

/** @param {HTMLElement} line */
const timeOf = (line) => Number(line.dataset.time);

/** @param {Date} time */
function timeElement(time) {
  const whole = { dateTime: time.toISOString(), title: time.toLocaleString() };
  return h('time', whole, clock.format(time));
}

/** @param {Entry} entry */
function messageLine({ time, name = '', text, isOwn = false, isKept = false }) {
  const classes = ['line', isOwn && 'line-own', isKept && 'kept'].filter(Boolean).join(' ');
  return h(
    'div',
    { class: classes, 'data-time': String(time.getTime()) },
    h('p', { class: 'line-head' }, h('b', {}, isolated(name)), ' ', timeElement(time)),
    h('p', { class: 'line-text', dir: 'auto' }, text),
  );
}

/**
 * @param {Date} time
 * @param {string} before
 * @param {string[]} names
 * @param {string} after
 */
function noteLine(time, before, names, after) {
  const among = names.flatMap((name, i) => (i === 0 ? [isolated(name)] : [', ', isolated(name)]));
  return h(
    'div',
    { class: 'line note', 'data-time': String(time.getTime()) },
    timeElement(time),
    h('span', {}, before, ...among, after),
  );
}
