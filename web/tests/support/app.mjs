// A small app on the published SDK, for what its example pages do not show.
import { eventually } from './participant.mjs';
import { CONFERENCE } from './pages.mjs';

/** Runs in a page that has loaded the SDK; sent to the browser as text. */
function install() {
  const { sdk, events } = window.RoomApi;
  const { SESSION_STATUS, STREAM_STATUS, STREAM_EVENT } = sdk.constants;
  const ENDS = [STREAM_STATUS.FAILED, STREAM_STATUS.STOPPED, STREAM_STATUS.UNPUBLISHED];
  const news = [];
  const streams = {};
  let session;
  let room;

  function display(id) {
    const element = document.createElement('div');
    element.id = id;
    element.style.cssText = 'width: 320px; height: 240px';
    document.body.prepend(element);
    return element;
  }

  /** Resolves with how the stream starts or fails. */
  function watch(key, stream) {
    streams[key] = stream;
    const status = (s) => ({ status: s.status(), info: s.getInfo() ?? null });
    stream.on(STREAM_EVENT, (event) => news.push({ what: 'event', key, ...event }));
    return new Promise((resolve) => {
      const tell = (s) => {
        news.push({ what: 'status', key, ...status(s) });
        resolve({ ...status(s), audio: s.getAudioState(), video: s.getVideoState() });
      };
      for (const name of [STREAM_STATUS.PUBLISHING, STREAM_STATUS.PLAYING, ...ENDS]) {
        stream.on(name, tell);
      }
    });
  }

  /** `relay`, a port, takes the place of the server's in its answer. */
  function through({ relay, ...options }) {
    if (!relay) return options;
    const sdpHook = ({ sdpString }) =>
      sdpString.replace(/^(a=candidate:.* udp \d+ \S+) \d+/gim, `$1 ${relay}`);
    return { ...options, sdpHook };
  }

  function establish(candidate) {
    session = candidate;
    return new Promise((resolve) => {
      for (const name of ['ESTABLISHED', 'FAILED', 'DISCONNECTED']) {
        session.on(SESSION_STATUS[name], (s) => {
          news.push({ what: 'session', status: s.status() });
          resolve(s.status());
        });
      }
    });
  }

  window.app = {
    news,
    connect: (options) => establish(window.RoomApi.connect(options)),
    connectWithoutRooms: (options) => establish(sdk.createSession(options)),
    disconnect: () => session.disconnect(),
    join(name) {
      room = session.join({ name });
      return new Promise((resolve) => {
        const people = () => room.getParticipants().map((each) => each.name());
        for (const event of ['JOINED', 'LEFT', 'PUBLISHED']) {
          room.on(events[event], (p) => news.push({ what: event, name: p.name() }));
        }
        room.on(events.MESSAGE, ({ from, text }) => {
          news.push({ what: 'MESSAGE', from: from.name(), text });
        });
        room.on(events.FAILED, (_, info) => resolve({ failed: info ?? null }));
        room.on(events.STATE, () => resolve({ people: people() }));
      });
    },
    async leave() {
      await room.leave();
    },
    say(to, text) {
      room.getParticipants().find((each) => each.name() === to).sendMessage(text);
    },
    publish(key, options = {}) {
      const stream = room.publish({ display: display(key), ...through(options) });
      return watch(key, stream);
    },
    play(key, login, options = {}) {
      const person = room.getParticipants().find((each) => each.name() === login);
      return watch(key, person.getStreams()[0].play(display(key), through(options)));
    },
    publishNamed(key, name, options = {}) {
      const stream = session.createStream({ name, display: display(key), ...through(options) });
      const started = watch(key, stream);
      stream.publish();
      return started;
    },
    playNamed(key, name, options = {}) {
      const stream = session.createStream({ name, display: display(key), ...through(options) });
      const started = watch(key, stream);
      stream.play();
      return started;
    },
    call: (key, method, ...args) => void streams[key][method](...args),
    state: (key) => ({ status: streams[key].status(), info: streams[key].getInfo() ?? null }),
    streamsOf: (login) =>
      room.getParticipants().find((each) => each.name() === login)?.getStreams().length ?? 0,
  };
}

/** Drives the app in one participant's page. */
export class App {
  constructor(participant) {
    this.participant = participant;
  }

  /** Loads a page that carries the SDK and puts the app beside it. */
  async open(origin = this.participant.server.http) {
    await this.participant.page.goto(`${origin}${CONFERENCE}`);
    await this.participant.evaluate(install);
    return this;
  }

  /** Calls a function of the app by name. */
  do(method, ...args) {
    return this.participant.evaluate(
      ({ method, args }) => window.app[method](...args),
      { method, args },
    );
  }

  async joinRoom(room) {
    const { server, name } = this.participant;
    await this.do('connect', { urlServer: server.ws, username: name });
    return this.do('join', room);
  }

  /** Waits for an entry of the news that has all of `expected`'s fields. */
  async hears(expected, options) {
    let news = [];
    const fits = (entry) =>
      Object.entries(expected).every(
        ([key, value]) => JSON.stringify(entry[key]) === JSON.stringify(value),
      );
    return eventually(
      `${this.participant.name} is told ${JSON.stringify(expected)}`,
      async () => {
        news = await this.participant.evaluate(() => window.app.news);
        return news.find(fits);
      },
      { detail: () => `news: ${JSON.stringify(news)}\n${this.participant.story()}`, ...options },
    );
  }

  /** Waits until `login` has published, and plays the stream. */
  async playsStreamOf(login, options) {
    await eventually(`${login} publishes`, () => this.do('streamsOf', login), {
      detail: () => this.participant.story(),
    });
    return this.do('play', `of-${login}`, login, options);
  }
}
