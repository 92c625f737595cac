// The SDK against a server in memory: its shape, its errors, and how it heals.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  ConnectionError, ROOM_EVENT, roomApi, RoomError, SESSION_STATUS, STREAM_EVENT, STREAM_STATUS,
  StreamError,
} from '../sdk/index.js';
import { connections, FakeServer, installBrowser, newMedia } from './support/fake-server.mjs';
import { eventually, sleep } from './support/participant.mjs';

const URL = 'ws://server.test/';
const QUICK = { minDelayMs: 5, maxDelayMs: 40, giveUpAfterMs: 3_000 };

describe('the SDK', () => {
  let server;
  beforeEach(() => {
    server = new FakeServer();
    installBrowser(server);
  });

  /** Sessions end with their test, so that no timer holds the process. */
  function connect(t, username, options = {}) {
    const session = roomApi.connect({ urlServer: URL, username, reconnect: QUICK, ...options });
    t.after(() => session.disconnect());
    return session;
  }

  async function join(t, username, name = 'kitchen', options = {}) {
    const session = await connect(t, username, options);
    return session.join({ name });
  }

  /** Everything that `emitter` tells of `events`, as it comes. */
  function listen(emitter, ...events) {
    const heard = [];
    for (const event of events) emitter.on(event, (...args) => heard.push([event, ...args]));
    return heard;
  }

  const soon = (what, ask) => eventually(what, ask, { within: 5_000 });

  describe('as a Room API', () => {
    test('a session is there at once, tells its statuses, and can be awaited', async (t) => {
      const statuses = [];
      const session = connect(t, 'alice');
      for (const status of Object.values(SESSION_STATUS)) {
        assert.equal(session.on(status, (same) => statuses.push(same.status())), session);
      }
      assert.equal(session.status(), 'PENDING');
      const awaited = await session;
      assert.equal(awaited, session);
      assert.equal(await session, session);
      assert.deepEqual(statuses, ['CONNECTED', 'ESTABLISHED']);
      assert.equal(session.username(), 'alice');
      assert.equal(session.getServerUrl(), URL);
      session.disconnect();
      assert.deepEqual(statuses.slice(2), ['DISCONNECTED']);
    });

    test('a room tells who is there, who comes and who goes', async (t) => {
      const alice = await join(t, 'alice');
      const heard = listen(alice, ROOM_EVENT.JOINED, ROOM_EVENT.LEFT);
      const bob = await join(t, 'bob');
      assert.deepEqual(bob.getParticipants().map((each) => each.name()), ['alice']);
      await soon('alice hears of bob', () => heard.length === 1);
      await bob.leave();
      await soon('alice hears that bob left', () => heard.length === 2);
      assert.deepEqual(heard.map(([event, who]) => [event, who.name()]), [
        ['JOINED', 'bob'],
        ['LEFT', 'bob'],
      ]);
      assert.deepEqual(server.members('kitchen'), ['alice']);
    });

    test('what is published is played by its name, and stops for who plays it', async (t) => {
      const alice = await join(t, 'alice');
      const bob = await join(t, 'bob');
      const published = new Promise((resolve) => bob.on(ROOM_EVENT.PUBLISHED, resolve));
      const publication = await alice.publish({ mediaStream: newMedia() });
      assert.equal(publication.status(), 'PUBLISHING');
      assert.match(publication.name(), /^kitchen-alice-[0-9a-f]{4}$/);
      const participant = await published;
      const [stream] = participant.getStreams();
      assert.equal(stream.streamName(), publication.name());
      const playback = await stream.play(null);
      assert.equal(playback.status(), 'PLAYING');
      assert.equal(stream.id(), playback.id());
      publication.stop();
      await soon('the publication ends', () => publication.status() === 'UNPUBLISHED');
      await soon('bob has no stream of alice', () => participant.getStreams().length === 0);
    });

    test('listeners add up, leave by off, once and signal, and harm no others', async (t) => {
      const uncaught = [];
      globalThis.reportError = (error) => uncaught.push(error.message);
      t.after(() => delete globalThis.reportError);
      const room = await join(t, 'alice');
      const calls = [];
      const controller = new AbortController();
      const gone = () => calls.push('gone');
      room
        .on(ROOM_EVENT.JOINED, () => {
          throw new Error('of a listener');
        })
        .on(ROOM_EVENT.JOINED, () => calls.push('first'))
        .on(ROOM_EVENT.JOINED, gone)
        .off(ROOM_EVENT.JOINED, gone);
      room.addEventListener(ROOM_EVENT.JOINED, () => calls.push('once'), { once: true });
      room.addEventListener(ROOM_EVENT.JOINED, () => calls.push('until'), {
        signal: controller.signal,
      });
      await join(t, 'bob');
      await soon('three are called', () => calls.length === 3);
      controller.abort();
      await join(t, 'carol');
      await soon('one more is called', () => calls.length === 4);
      assert.deepEqual(calls, ['first', 'once', 'until', 'first']);
      assert.deepEqual(uncaught, ['of a listener', 'of a listener']);
      assert.throws(() => room.on(ROOM_EVENT.JOINED), TypeError);
    });

    test('what is said arrives with its author, and later ones read it as history', async (t) => {
      const alice = await join(t, 'alice');
      const bob = await join(t, 'bob');
      const heard = listen(bob, ROOM_EVENT.MESSAGE);
      await alice.sendMessage('<b>hello</b>');
      await alice.getParticipants()[0].sendMessage('psst');
      await soon('bob hears both', () => heard.length === 2);
      const [[, toAll], [, toBob]] = heard;
      assert.deepEqual([toAll.name, toAll.text, toAll.all], ['alice', '<b>hello</b>', true]);
      assert.deepEqual([toBob.name, toBob.text, toBob.all], ['alice', 'psst', false]);
      assert.equal(toAll.from.name(), 'alice');
      const session = await connect(t, 'carol');
      const joining = session.join({ name: 'kitchen' });
      const history = new Promise((resolve) => joining.on(ROOM_EVENT.HISTORY, resolve));
      const [message] = await history;
      assert.equal(message.text, '<b>hello</b>');
      assert.ok(Math.abs(Date.now() - 60_000 - message.time.getTime()) < 5_000);
    });

    test('on a server without rooms’ chat everyone is told one by one', async (t) => {
      server.isParlor = false;
      const alice = await join(t, 'alice');
      const rooms = [await join(t, 'bob'), await join(t, 'carol')];
      const heard = rooms.map((room) => listen(room, ROOM_EVENT.MESSAGE));
      await soon('alice sees both', () => alice.getParticipants().length === 2);
      await alice.sendMessage('hello');
      await soon('both hear it', () => heard.every((each) => each.length === 1));
    });

    test('mutes are told, and told again to a fresh stream', async (t) => {
      const room = await join(t, 'alice');
      const publication = await room.publish({ mediaStream: newMedia() });
      const muted = () =>
        server.received.filter(({ data }) => data?.type === 'audioMuted').length;
      publication.muteAudio();
      await soon('the server hears of it', () => muted() === 1);
      assert.equal(publication.track('audio').enabled, false);
      connections().at(-1).become('failed');
      await soon('the server hears of it again', () => muted() === 2);
      assert.equal(publication.isAudioMuted(), true);
    });
  });

  describe('in trouble', () => {
    test('a server that is not there is told at once, as a ConnectionError', async (t) => {
      server.isDown = true;
      const session = connect(t, 'alice');
      const heard = listen(session, SESSION_STATUS.FAILED, SESSION_STATUS.RECONNECTING);
      const error = await session.then(null, (fault) => fault);
      assert.ok(error instanceof ConnectionError);
      assert.equal(error.code, 'UNREACHABLE');
      assert.deepEqual(heard.map(([event]) => event), ['FAILED']);
      assert.equal(session.error(), error);
    });

    test('a server that says nothing is given up after the timeout', async (t) => {
      server.isMute = true;
      await assert.rejects(connect(t, 'alice', { timeout: 30 }), { code: 'TIMEOUT' });
    });

    test('a name in use and a full room are refused in words, and tell FAILED', async (t) => {
      await join(t, 'alice');
      const session = await connect(t, 'alice');
      const room = session.join({ name: 'kitchen' });
      const heard = listen(room, ROOM_EVENT.FAILED);
      const error = await room.then(null, (fault) => fault);
      assert.ok(error instanceof RoomError);
      assert.equal(error.code, 'NAME_IN_USE');
      assert.match(heard[0][2], /already in use/);
      assert.deepEqual(session.getRooms(), []);
      server.limit = 1;
      await assert.rejects(join(t, 'bob'), { code: 'ROOM_FULL' });
    });

    test('a stream that is not there fails with a reason', async (t) => {
      const alice = await join(t, 'alice');
      const bob = await join(t, 'bob');
      await alice.publish({ mediaStream: newMedia() });
      await soon('bob sees it', () => bob.getParticipants()[0].getStreams().length === 1);
      const [stream] = bob.getParticipants()[0].getStreams();
      server.rooms.get('kitchen').get('alice').streams.clear();
      const error = await stream.play(null).then(null, (fault) => fault);
      assert.ok(error instanceof StreamError);
      assert.equal(error.code, 'NOT_FOUND');
    });

    test('a signal ends what it was given to', async (t) => {
      const controller = new AbortController();
      const why = new Error('changed my mind');
      server.isMute = true;
      const session = connect(t, 'alice', { signal: controller.signal });
      controller.abort(why);
      await assert.rejects(session, why);
      assert.equal(session.status(), 'FAILED');
      server.isMute = false;
      const other = await connect(t, 'alice');
      await assert.rejects(other.join({ name: 'kitchen', signal: AbortSignal.abort(why) }), why);
      await soon('nobody is left', () => server.members('kitchen').length === 0);
    });

    test('after the end everything is refused, and leaving twice is no fault', async (t) => {
      const room = await join(t, 'alice');
      const session = room._session;
      await room.leave();
      assert.equal(await room.leave(), room);
      assert.throws(() => room.publish({ mediaStream: newMedia() }), RoomError);
      session.disconnect();
      session.disconnect();
      assert.throws(() => session.join({ name: 'kitchen' }), { code: 'INVALID_STATE' });
      await assert.rejects(room.sendMessage('late'), { code: 'LOST' });
    });
  });

  describe('healing', () => {
    test('a lost connection comes back, with its room and its streams', async (t) => {
      const alice = await join(t, 'alice');
      const bob = await join(t, 'bob');
      const publication = await alice.publish({ mediaStream: newMedia() });
      const first = publication.name();
      await soon('bob sees it', () => bob.getParticipants()[0].getStreams().length === 1);
      const playback = await bob.getParticipants()[0].getStreams()[0].play(null);
      const session = alice._session;
      const heard = listen(session, ...Object.values(SESSION_STATUS));
      const rooms = listen(alice, ...Object.values(ROOM_EVENT));
      server.cut();
      assert.equal(session.status(), 'RECONNECTING');
      await soon('alice is back', () => rooms.some(([event]) => event === 'REJOINED'));
      await soon('alice is on the air', () => publication.status() === 'PUBLISHING');
      assert.deepEqual(heard.map(([event]) => event), ['RECONNECTING', 'RECONNECTED']);
      assert.ok(!rooms.some(([event]) => event === 'STATE'), 'apps publish at STATE');
      assert.notEqual(publication.name(), first);
      await soon('bob is told of the end', () => playback.ended);
      await soon('bob sees the new stream', () => {
        const streams = bob.getParticipants()[0]?.getStreams() ?? [];
        return streams.length === 1 && streams[0].streamName() === publication.name();
      });
      assert.deepEqual(server.streams('kitchen'), [publication.name()]);
    });

    test('a playback goes on when only its own connection was lost', async (t) => {
      const alice = await join(t, 'alice');
      await alice.publish({ mediaStream: newMedia() });
      const bob = await join(t, 'bob');
      const playback = await bob.getParticipants()[0].getStreams()[0].play(null);
      const before = playback.id();
      [...server.sockets].find(({ login }) => login === 'bob').end(1006);
      await soon('bob plays again', () => playback.live && playback.id() !== before);
    });

    test('who is replaced by another connection of its own is told so', async (t) => {
      const alice = await join(t, 'alice');
      const publication = await alice.publish({ mediaStream: newMedia() });
      const heard = listen(alice, ROOM_EVENT.FAILED, ROOM_EVENT.REJOINED);
      for (const socket of server.sockets) {
        socket.tell('fail', { apiMethod: 'join', info: 'You have joined from elsewhere' });
      }
      await soon('alice is told', () => heard.length === 1);
      const [[event, , info, error]] = heard;
      assert.deepEqual([event, info, error.code], [
        'FAILED',
        'You have joined from elsewhere',
        'REPLACED',
      ]);
      assert.ok(publication.ended);
    });

    test('what happened meanwhile is told when the connection is back', async (t) => {
      const alice = await join(t, 'alice');
      const bob = await join(t, 'bob');
      await soon('alice sees bob', () => alice.getParticipants().length === 1);
      const heard = listen(alice, ROOM_EVENT.JOINED, ROOM_EVENT.LEFT, ROOM_EVENT.REJOINED);
      server.isDown = true;
      [...server.sockets].find(({ login }) => login === 'alice').end(1006);
      await bob.leave();
      await sleep(30);
      server.isDown = false;
      await soon('alice is back', () => heard.at(-1)?.[0] === 'REJOINED');
      assert.deepEqual(heard.map(([event]) => event), ['LEFT', 'REJOINED']);
    });

    test('a token takes the old place, though the server has not noticed the loss', async (t) => {
      await join(t, 'alice');
      server.cut();
      await soon('there was another join', () => server.attempts.length === 2);
      assert.equal(server.attempts[1].resume, 'token-1');
      await sleep(20);
      assert.equal(server.attempts.length, 2, 'the first attempt was let in');
    });

    test('without a token the place is asked for until it is free', async (t) => {
      server.isParlor = false;
      const room = await join(t, 'alice');
      const heard = listen(room, ROOM_EVENT.REJOINED, ROOM_EVENT.FAILED);
      server.cut();
      await soon('it was refused', () => server.attempts.length >= 2);
      server.notice('alice');
      await soon('it is back', () => heard.length === 1);
      assert.equal(heard[0][0], 'REJOINED');
    });

    test('attempts come further and further apart, and end', async (t) => {
      const options = { minDelayMs: 20, maxDelayMs: 400, giveUpAfterMs: 600 };
      const session = await connect(t, 'alice', { reconnect: options });
      const heard = listen(session, SESSION_STATUS.RECONNECTING, SESSION_STATUS.DISCONNECTED);
      const at = [];
      const Socket = globalThis.WebSocket;
      globalThis.WebSocket = class extends Socket {
        constructor(url) {
          super(url);
          at.push(performance.now());
        }
      };
      server.isDown = true;
      server.cut();
      await soon('it gives up', () => session.status() === 'DISCONNECTED');
      const gaps = at.slice(1).map((time, i) => time - at[i]);
      assert.ok(gaps.length >= 3 && gaps.length < 12, `${gaps}`);
      assert.ok(gaps.at(-1) > 3 * gaps[0], `${gaps}`);
      assert.deepEqual(heard.map(([event]) => event), ['RECONNECTING', 'DISCONNECTED']);
      assert.equal(session.error().code, 'UNREACHABLE');
    });

    test('an app may ask for no healing', async (t) => {
      const session = await connect(t, 'alice', { reconnect: false });
      server.cut();
      assert.equal(session.status(), 'DISCONNECTED');
    });

    test('a server that falls silent is noticed', async (t) => {
      const session = await connect(t, 'alice', { pingInterval: 15 });
      await sleep(120);
      assert.equal(session.status(), 'ESTABLISHED', 'answered pings keep it');
      server.isMute = true;
      await soon('it is noticed', () => session.status() === 'RECONNECTING');
      server.isMute = false;
    });

    test('a peer connection that breaks is replaced', async (t) => {
      const room = await join(t, 'alice');
      const publication = await room.publish({ mediaStream: newMedia() });
      const heard = listen(publication, ...Object.values(STREAM_STATUS));
      const first = publication.id();
      connections().at(-1).become('failed');
      await soon('it is on the air again', () => publication.live);
      assert.notEqual(publication.id(), first);
      const events = heard.map(([event]) => event);
      assert.deepEqual(events, ['RESTARTING', 'PENDING', 'PUBLISHING']);
      await soon('the old one is gone', () => server.streams('kitchen').length === 1);
    });

    test('a stream that the server has lost is sent again', async (t) => {
      const room = await join(t, 'alice');
      const publication = await room.publish({ mediaStream: newMedia() });
      const first = publication.id();
      server.tellPublisher(publication.name(), 'notifyStreamStatusEvent', {
        status: 'FAILED',
        info: 'Failed by ICE keep alive',
      });
      await soon('it is on the air again', () => publication.live && publication.id() !== first);
    });

    test('who cannot play the codec gets another one, that all who complained take', async (t) => {
      const room = await join(t, 'alice');
      const publication = await room.publish({ mediaStream: newMedia() });
      const heard = listen(publication, STREAM_EVENT);
      const offer = () => connections().at(-1).localDescription.sdp;
      assert.match(offer(), /video:H264,VP8,rtx/);
      const complain = (video) =>
        server.tellPublisher(publication.name(), 'notifyStreamEvent', {
          type: 'codecMismatch',
          payload: { video, audio: ['opus', 'PCMU'] },
        });
      const before = publication.name();
      complain(['VP8', 'VP9']);
      await soon('it is sent again', () => publication.live && publication.name() !== before);
      assert.match(offer(), /video:VP8,rtx/);
      assert.match(offer(), /audio:opus,PCMU/);
      assert.equal(heard[0][1].type, 'codecMismatch');
      const second = publication.name();
      complain(['AV1']);
      await sleep(50);
      assert.equal(publication.name(), second, 'nobody is served by leaving the others');
    });
  });

  describe('reloading', () => {
    test('a page takes its place again, once, and a copy of it does not', async (t) => {
      const store = new Map();
      globalThis.window = new EventTarget();
      globalThis.sessionStorage = {
        getItem: (key) => store.get(key) ?? null,
        setItem: (key, value) => store.set(key, value),
        removeItem: (key) => store.delete(key),
      };
      t.after(() => {
        delete globalThis.window;
        delete globalThis.sessionStorage;
      });
      await join(t, 'alice');
      assert.equal(store.size, 0, 'a duplicated tab has nothing to take');
      globalThis.window.dispatchEvent(new Event('pagehide'));
      const again = await join(t, 'alice');
      assert.equal(server.attempts[1].resume, 'token-1');
      assert.deepEqual(server.members('kitchen'), ['alice']);
      assert.equal(again.name(), 'kitchen');
      await assert.rejects(join(t, 'alice'), { code: 'NAME_IN_USE' });
      assert.equal(server.attempts[2].resume, undefined);
    });
  });
});
