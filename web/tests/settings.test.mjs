// Servers that are set up otherwise, Firefox among the callers, and calls over TLS and IPv6.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { App } from './support/app.mjs';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { newFirefoxParticipant, startFirefox } from './support/firefox.mjs';
import { lifetime } from './support/lifetime.mjs';
import { allMeet, newRoom, RoomPage } from './support/pages.mjs';
import { startServer } from './support/server.mjs';

const file = lifetime();
let chromium;
before(async () => (chromium = await startChromium(file)));

describe('a server that prefers VP8', () => {
  const suite = lifetime();
  let server;
  before(async () => {
    server = await startServer(suite, 'prefers VP8', ['--video-codecs', 'vp8,h264']);
  });

  test('lets browsers meet in VP8', async (t) => {
    const room = newRoom();
    const pages = [];
    for (const name of ['alice', 'bob']) {
      const participant = await newParticipant(t, chromium, server, name);
      pages.push(await new RoomPage(participant).join(room));
    }
    for (const [viewer, other] of [pages, pages.toReversed()]) {
      const { inbound } = await viewer.meets(other.name);
      assert.equal(inbound.video.codec, 'video/VP8');
      assert.equal((await viewer.participant.sent())[0].video.codec, 'video/VP8');
      viewer.participant.isUnharmed();
    }
  });

  test('lets Firefox join a call of Chromium, and all meet', async (t) => {
    const room = newRoom();
    const firefox = await startFirefox(t);
    const alice = new RoomPage(await newParticipant(t, chromium, server, 'alice'));
    await alice.join(room);
    const fay = new RoomPage(await newFirefoxParticipant(t, firefox, server, 'fay'));
    await fay.join(room);
    const bob = new RoomPage(await newParticipant(t, chromium, server, 'bob'));
    await bob.join(room);
    for (const other of ['alice', 'bob']) {
      const { inbound } = await fay.meets(other);
      assert.equal(inbound.video.codec, 'video/VP8');
    }
    await alice.meets('fay', { plain: true });
    await bob.meets('fay', { plain: true });
    await allMeet([alice, bob]);
    await alice.say('hello, fox');
    await fay.readsInChat('alice', 'hello, fox');
    await fay.participant.screenshot('conference in Firefox');
    await alice.participant.screenshot('conference with Firefox');
    await fay.leave();
    await alice.hasNoTileOf('fay');
    await fay.rejoin();
    await fay.meets('alice');
    await alice.meets('fay', { plain: true });
    for (const page of [alice, bob, fay]) page.participant.isUnharmed();
  });
});

describe('a server that prefers H.264', () => {
  const suite = lifetime();
  let server;
  before(async () => (server = await startServer(suite, 'prefers H264')));

  test('tells a Firefox without H.264 why it cannot play', async (t) => {
    const room = newRoom();
    const alice = await new App(await newParticipant(t, chromium, server, 'alice')).open();
    await alice.joinRoom(room);
    const constraints = { audio: false, video: true };
    assert.equal((await alice.do('publish', 'own', { constraints })).status, 'PUBLISHING');
    const firefox = await startFirefox(t);
    const fay = await new App(await newFirefoxParticipant(t, firefox, server, 'fay')).open();
    await fay.joinRoom(room);
    const { status, info } = await fay.playsStreamOf('alice');
    assert.deepEqual({ status, info }, { status: 'FAILED', info: 'No common codecs' });
    for (const app of [alice, fay]) app.participant.isUnharmed();
  });

  test('is called over https and wss with its own certificate', async (t) => {
    const room = newRoom();
    const pages = [];
    for (const name of ['alice', 'bob']) {
      const participant = await newParticipant(t, chromium, server, name);
      pages.push(await new RoomPage(participant).join(room, server.https));
      const url = () => document.querySelector('#url').value;
      assert.equal(await participant.evaluate(url), server.wss);
    }
    await allMeet(pages);
    for (const page of pages) page.participant.isUnharmed();
  });
});

describe('a server of two workers that plays all streams on the worker beside', () => {
  const suite = lifetime();
  let server;
  before(async () => {
    const flags = ['--workers', '2', '--relay-after', '0'];
    server = await startServer(suite, 'two workers', flags);
  });

  test('lets browsers meet, leave and come again as one of one worker', async (t) => {
    const room = newRoom();
    const pages = [];
    for (const name of ['alice', 'bob', 'carol']) {
      const participant = await newParticipant(t, chromium, server, name);
      pages.push(await new RoomPage(participant).join(room));
    }
    await allMeet(pages);
    const [alice, bob, carol] = pages;
    await alice.say('hello from afar');
    await bob.readsInChat('alice', 'hello from afar');
    const before = await server.metrics();
    assert.equal(before.relays, 3, 'each of the three streams is on the other worker');
    await carol.leave();
    await alice.hasNoTileOf('carol');
    await carol.rejoin();
    await allMeet(pages);
    const after = await server.metrics();
    assert.ok(after.relayed_packets_total > before.relayed_packets_total);
    assert.equal(after.relay_refused_packets_total, 0);
    for (const page of pages) page.participant.isUnharmed();
  });
});

describe('a server on IPv6', () => {
  const suite = lifetime();
  let server;
  before(async () => {
    server = await startServer(suite, 'IPv6', ['--video-codecs', 'vp8,h264'], '::1');
  });

  test('is called over IPv6', async (t) => {
    const firefox = await startFirefox(t);
    const room = newRoom();
    const pages = [];
    for (const name of ['fay', 'fox']) {
      const participant = await newFirefoxParticipant(t, firefox, server, name);
      pages.push(await new RoomPage(participant).join(room));
    }
    await allMeet(pages, { plain: true });
    for (const page of pages) page.participant.isUnharmed();
  });
});

describe('a server that allows two in a room', () => {
  const suite = lifetime();
  let server;
  before(async () => {
    server = await startServer(suite, 'two in a room', ['--max-participants', '2']);
  });

  test('refuses the third in a sentence', async (t) => {
    const room = newRoom();
    const open = async (name) =>
      new RoomPage(await newParticipant(t, chromium, server, name)).open(room);
    const pages = [await open('alice'), await open('bob'), await open('carol')];
    for (const page of pages.slice(0, 2)) await page.rejoin();
    await pages[2].pressJoin();
    const sentence = await pages[2].participant.reads('#failedInfo', /\w+ \w+/);
    t.diagnostic(sentence);
    await pages[2].participant.reads('#status', 'DISCONNECTED');
    await allMeet(pages.slice(0, 2));
    for (const page of pages) page.participant.isUnharmed();
  });
});
