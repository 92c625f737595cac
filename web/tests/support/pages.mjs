// The SDK's example pages, as a person uses them: by what is written on them and by their buttons.
import { eventually } from './participant.mjs';

const EXAMPLES = '/examples/demo/streaming';
export const CONFERENCE = `${EXAMPLES}/conference/conference.html`;
export const VIDEO_CHAT = `${EXAMPLES}/video-chat/video-chat.html`;
export const SCREEN_SHARING =
  `${EXAMPLES}/video-chat-and-screen-sharing/video-chat-and-screen-sharing.html`;

/** A room that no other test uses. */
export function newRoom() {
  return `room-${Math.random().toString(36).slice(2, 8)}`;
}

/** One participant in front of a room page. */
export class RoomPage {
  constructor(participant, path = CONFERENCE) {
    this.participant = participant;
    this.path = path;
  }

  get name() {
    return this.participant.name;
  }

  async open(room, origin = this.participant.server.http) {
    await this.participant.page.goto(`${origin}${this.path}?roomName=${room}`);
    return this;
  }

  /** Presses Join; what comes of it is for the test to look at. */
  async pressJoin() {
    await this.participant.fill('#login', this.name);
    await this.participant.becomesEnabled('#joinBtn');
    await this.participant.click('#joinBtn');
  }

  /** Joins and is on the air. */
  async join(room, origin) {
    await this.open(room, origin);
    await this.rejoin();
    return this;
  }

  async rejoin() {
    await this.pressJoin();
    await this.participant.reads('#status', 'ESTABLISHED');
    await this.participant.reads('#localStatus', 'PUBLISHING');
    await this.participant.reads('#joinBtn', 'Leave');
  }

  async leave() {
    await this.participant.becomesEnabled('#joinBtn');
    await this.participant.click('#joinBtn');
    await this.participant.reads('#joinBtn', 'Join');
    await this.participant.becomesEnabled('#joinBtn');
  }

  /** The names on the tiles, `NONE` on an empty one. */
  tiles() {
    return this.participant.evaluate(() => {
      const names = document.querySelectorAll('[id^=participant][id$=Name]');
      return [...names].map((each) => each.textContent.trim());
    });
  }

  /** Waits until a tile carries `name`, and returns the selector of its video. */
  async tileOf(name) {
    const number = await eventually(
      `${this.name} has a tile of ${name}`,
      async () => (await this.tiles()).indexOf(name) + 1,
      { detail: async () => `tiles: ${await this.tiles()}\n${this.participant.story()}` },
    );
    return `#participant${number}Display`;
  }

  async hasNoTileOf(name, options) {
    await eventually(
      `${this.name} has no tile of ${name}`,
      async () => !(await this.tiles()).includes(name),
      { detail: async () => `tiles: ${await this.tiles()}`, ...options },
    );
  }

  /** Waits until `name` is seen and heard in the tile that carries the name. */
  async meets(name, options) {
    return this.participant.perceives(await this.tileOf(name), options);
  }

  async say(text) {
    await this.participant.fill('#message', text);
    await this.participant.click('#sendMessageBtn');
  }

  /** Waits until the chat shows `text` said by `name`. */
  async readsInChat(name, text) {
    let chat = '';
    await eventually(
      `${this.name} reads ${JSON.stringify(text)} by ${name}`,
      async () => (chat = await this.participant.text('#chat')).includes(`${name} - ${text}`),
      { detail: () => `chat: ${chat}` },
    );
  }
}

/** Everyone in `pages` sees and hears everyone else. */
export async function allMeet(pages, options) {
  const pairs = pages.flatMap((page) =>
    pages.filter((other) => other !== page).map((other) => page.meets(other.name, options)),
  );
  await Promise.all(pairs);
}
