// The call: a room, with all that is on the page while we are in it.
import { connect, ROOM_EVENT, RoomError, SESSION_STATUS } from '../../sdk/index.js';
import { Chat } from './chat.js';
import { Dock } from './dock.js';
import { h } from './dom.js';
import { Own } from './own.js';
import { People } from './people.js';
import { DevicePicker } from './picker.js';
import { Stage } from './stage.js';
import { CallView } from './view.js';
import { keepAwake } from './wake.js';

/**
 * @typedef {import('./settings.js').Choices} Choices
 *
 * @typedef {object} CallOptions
 * @property {import('./app.js').AppConfig} config
 * @property {Choices} choices
 * @property {(error: unknown | null) => void} onEnd `null` when it was our own will
 */

/** Who comes back so soon has not been away. */
const ABSENCE_MS = 4_000;
/** Beside a narrower page the chat would leave no room for the pictures. */
const WIDE = '(min-width: 900px)';

export class Call {
  #config;
  #choices;
  #onEnd;
  /** @type {import('../../sdk/index.js').Session | null} */
  #session = null;
  /** @type {import('../../sdk/index.js').Room | null} */
  #room = null;
  /** @type {People | null} */
  #people = null;
  /** @type {Own | null} */
  #own = null;
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #absent = new Map();
  #letSleep = () => {};
  #ended = false;

  /** @param {CallOptions} options */
  constructor({ config, choices, onEnd }) {
    this.#config = config;
    this.#choices = choices;
    this.#onEnd = onEnd;
    this.stage = new Stage(config.layout);
    this.dock = new Dock({
      microphone: () => this.#own?.toggleMicrophone(),
      camera: () => this.#own?.toggleCamera(),
      ...(config.canShare && { screen: () => this.#own?.toggleScreen() }),
      chat: () => this.#openChat(!this.chat.isOpen),
      settings: () => this.#openSettings(),
      leave: () => this.leave(),
    });
    this.chat = new Chat((text) => this.#say(text), {
      onClose: () => this.#openChat(false),
      onUnread: (count) => this.dock.setUnread(count),
    });
    this.picker = new DevicePicker(choices, (kind) => {
      if (kind === 'speaker') this.#people?.setSpeaker(choices.speaker);
      else this.#own?.changeDevice(kind);
    });
    this.view = new CallView(choices.room, this.stage, this.chat, this.dock, this.picker);
    this.view.root.addEventListener('keydown', (event) => this.#onKey(event));
    this.#openChat(matchMedia(WIDE).matches);
    this.dock.setScreen(false);
  }

  /**
   * Joins. Rejects when that fails; from then on the end comes by `onEnd`.
   *
   * @param {MediaStream} media
   */
  async start(media) {
    const session = connect({ username: this.#choices.name });
    this.#session = session;
    for (const status of Object.values(SESSION_STATUS)) {
      session.on(status, () => this.view.setStatus('status', session.status()));
    }
    session.on(SESSION_STATUS.RECONNECTING, () => {
      this.view.setBanner('The connection is lost. Reconnecting…');
    });
    session.on(SESSION_STATUS.DISCONNECTED, () => this.#end(session.error()));
    try {
      await session;
      await this.#enter(session, media);
    } catch (error) {
      this.#ended = true;
      this.#letSleep();
      this.#people?.end();
      this.#own?.end();
      session.disconnect();
      throw error;
    }
  }

  async leave() {
    if (this.#ended) return;
    this.dock.setBusy('leave', true);
    await this.#room?.leave().catch(() => {});
    this.#end(null);
  }

  /**
   * @param {import('../../sdk/index.js').Session} session
   * @param {MediaStream} media
   */
  async #enter(session, media) {
    const joining = session.join({ name: this.#choices.room });
    // The room is what awaiting gives; its listeners must be there before.
    const { capacity, camera } = this.#config;
    const own = new Own(joining, this.stage, this.dock, this.#choices, camera, {
      onTrouble: (words) => this.view.toast(words),
      onStatus: (status) => this.view.setStatus('localStatus', status),
    });
    const people = new People(joining, this.stage, this.#choices.speaker, {
      onSilenced: () => this.#offerSound(),
      onChange: () => this.view.setOthers(joining.getParticipants().length),
    });
    this.#own = own;
    this.#people = people;
    this.#listen(joining);
    const room = await joining;
    this.#room = room;
    this.#letSleep = keepAwake();
    if (room.getParticipants().length >= capacity) {
      await room.leave().catch(() => {});
      throw new RoomError('ROOM_FULL', 'This room is full');
    }
    people.begin();
    own.publish(media);
    this.view.setOthers(room.getParticipants().length);
    this.#greet(room);
  }

  /** @param {import('../../sdk/index.js').Room} room */
  #greet(room) {
    const names = room.getParticipants().map((participant) => participant.name());
    if (names.length === 0) this.chat.note('You are the first one here.');
    else this.chat.note('Here already: ', names);
  }

  /** @param {import('../../sdk/index.js').Room} room */
  #listen(room) {
    const me = this.#choices.name;
    room
      .on(ROOM_EVENT.JOINED, (participant) => this.#onJoined(participant.name()))
      .on(ROOM_EVENT.LEFT, (participant) => this.#onLeft(participant.name()))
      .on(ROOM_EVENT.MESSAGE, ({ name, text, time, all }) =>
        this.chat.say({ name, text, time, isKept: all }))
      .on(ROOM_EVENT.HISTORY, (messages) =>
        this.chat.remember(
          messages.map((/** @type {any} */ each) => ({ ...each, isOwn: each.name === me })),
        ))
      .on(ROOM_EVENT.SPEAKING, ({ login, speaking }) => {
        if (login === me) this.#own?.setSpeaking(speaking);
      })
      .on(ROOM_EVENT.REJOINED, () => {
        this.view.setBanner('');
        this.view.toast('You are back in the room.');
      })
      .on(ROOM_EVENT.FAILED, (_, __, error) => {
        if (this.#room) this.#end(error);
      });
  }

  /** @param {string} name */
  #onJoined(name) {
    if (this.#absent.has(name)) {
      clearTimeout(this.#absent.get(name));
      this.#absent.delete(name);
    } else this.chat.note('', [name], ' joined');
  }

  /** @param {string} name */
  #onLeft(name) {
    const timer = setTimeout(() => {
      this.#absent.delete(name);
      this.chat.note('', [name], ' left');
    }, ABSENCE_MS);
    this.#absent.set(name, timer);
  }

  /** @param {string} text */
  async #say(text) {
    if (!this.#room) return;
    await this.#room.sendMessage(text);
    const name = this.#choices.name;
    this.chat.say({ name, text, time: new Date(), isOwn: true, isKept: true });
  }

  #offerSound() {
    const button = h(
      'button',
      {
        class: 'button',
        type: 'button',
        onclick: () => {
          this.#people?.turnSoundOn();
          this.view.setBanner('');
        },
      },
      'Turn sound on',
    );
    this.view.setBanner('The browser plays no sound until you ask for it.', button);
  }

  /** @param {boolean} isOpen */
  #openChat(isOpen) {
    const hadFocus = this.chat.root.contains(document.activeElement);
    this.chat.setOpen(isOpen);
    this.dock.setChat(isOpen);
    this.view.root.classList.toggle('chat-open', isOpen);
    if (!isOpen && hadFocus) this.dock.focus('chat');
    if (isOpen && this.view.root.isConnected) this.chat.field.focus();
  }

  #openSettings() {
    this.picker.refresh(this.#own?.publication?.mediaStream() ?? null);
    this.view.settings.showModal();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === 'Escape' && this.chat.isOpen && !matchMedia(WIDE).matches) {
      this.#openChat(false);
    }
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const actions = {
      KeyM: () => this.#own?.toggleMicrophone(),
      KeyV: () => this.#own?.toggleCamera(),
      KeyC: () => this.#openChat(!this.chat.isOpen),
    };
    const action = actions[/** @type {keyof typeof actions} */ (event.code)];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** @param {unknown} error */
  #end(error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#letSleep();
    this.#people?.end();
    this.#own?.end();
    this.#absent.forEach((timer) => clearTimeout(timer));
    this.#session?.disconnect();
    this.#onEnd(error);
  }
}
