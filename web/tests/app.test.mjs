// What the SDK offers to apps and its example pages do not show.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { App } from './support/app.mjs';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import { eventually } from './support/participant.mjs';
import { startServer } from './support/server.mjs';

describe('an app on the SDK', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([startServer(suite, 'app'), startChromium(suite)]);
  });

  const open = async (t, name) => new App(await newParticipant(t, browser, server, name)).open();

  /** Two apps in one room, the first on the air with `options`. */
  async function callOf(t, options) {
    const room = newRoom();
    const [alice, bob] = [await open(t, 'alice'), await open(t, 'bob')];
    assert.deepEqual(await alice.joinRoom(room), { people: [] });
    const published = await alice.do('publish', 'own', options);
    assert.equal(published.status, 'PUBLISHING', published.info);
    assert.deepEqual(await bob.joinRoom(room), { people: ['alice'] });
    return { room, alice, bob };
  }

  const unharmed = (...apps) => apps.forEach((app) => app.participant.isUnharmed());

  test('mute and unmute are told to who plays the stream', async (t) => {
    const { alice, bob } = await callOf(t);
    const playing = await bob.playsStreamOf('alice');
    assert.equal(playing.status, 'PLAYING', playing.info);
    await bob.participant.perceives('#of-alice');
    for (const [method, type] of [
      ['muteAudio', 'audioMuted'],
      ['unmuteAudio', 'audioUnmuted'],
      ['muteVideo', 'videoMuted'],
      ['unmuteVideo', 'videoUnmuted'],
    ]) {
      await alice.do('call', 'own', method);
      await bob.hears({ what: 'event', key: 'of-alice', type });
    }
    await bob.participant.perceives('#of-alice');
    unharmed(alice, bob);
  });

  test('who comes later is told what is muted', async (t) => {
    const { room, alice, bob } = await callOf(t);
    await bob.playsStreamOf('alice');
    await alice.do('call', 'own', 'muteAudio');
    await bob.hears({ what: 'event', key: 'of-alice', type: 'audioMuted' });
    const carol = await open(t, 'carol');
    await carol.joinRoom(room);
    const playing = await carol.playsStreamOf('alice');
    assert.deepEqual(playing.audio, { muted: true });
    assert.deepEqual(playing.video, { muted: false });
    unharmed(alice, bob, carol);
  });

  test('data of a stream reaches who plays it as it was sent', async (t) => {
    const { alice, bob } = await callOf(t);
    await bob.playsStreamOf('alice');
    const payload = { count: 3, text: '<b>"ü"</b> 😀', list: [1, null, { deep: true }] };
    await alice.do('call', 'own', 'sendData', payload);
    await bob.hears({ what: 'event', key: 'of-alice', type: 'data', payload });
    unharmed(alice, bob);
  });

  test('chat text arrives to the letter, markup and all', async (t) => {
    const { alice, bob } = await callOf(t);
    for (const text of [
      '<img src=x onerror=alert(1)> & "quotes" \\ back',
      'two\nlines\tand a tab',
      '👩‍👩‍👧‍👦 \u0000 \u2028',
      'x'.repeat(4_000),
      '%F0%9F%98%80',
      '',
    ]) {
      await bob.do('say', 'alice', text);
      await alice.hears({ what: 'MESSAGE', from: 'bob', text });
    }
    unharmed(alice, bob);
  });

  test('a stream of sound alone is heard', async (t) => {
    const { alice, bob } = await callOf(t, { constraints: { audio: true, video: false } });
    assert.equal((await bob.playsStreamOf('alice')).status, 'PLAYING');
    const { inbound, picture } = await bob.participant.perceives('#of-alice', { picture: false });
    assert.equal(picture, null);
    assert.equal(inbound.audio.codec, 'audio/opus');
    unharmed(alice, bob);
  });

  test('a stream of pictures alone is seen', async (t) => {
    const { alice, bob } = await callOf(t, { constraints: { audio: false, video: true } });
    assert.equal((await bob.playsStreamOf('alice')).status, 'PLAYING');
    const { inbound } = await bob.participant.perceives('#of-alice', { sound: false });
    assert.equal(inbound.audio?.packets ?? 0, 0);
    unharmed(alice, bob);
  });

  test('who asks for sound alone gets no pictures', async (t) => {
    const { alice, bob } = await callOf(t);
    const options = { constraints: { audio: true, video: false } };
    assert.equal((await bob.playsStreamOf('alice', options)).status, 'PLAYING');
    const { inbound } = await bob.participant.perceives('#of-alice', { picture: false });
    assert.equal(inbound.video, undefined);
    unharmed(alice, bob);
  });

  for (const [stripped, codec] of [
    ['opus', 'audio/PCMU'],
    ['opus,PCMU', 'audio/PCMA'],
  ]) {
    test(`a publisher without ${stripped} is heard in ${codec}`, async (t) => {
      const { alice, bob } = await callOf(t, { stripCodecs: stripped });
      assert.equal((await bob.playsStreamOf('alice')).status, 'PLAYING');
      const { inbound } = await bob.participant.perceives('#of-alice');
      assert.equal(inbound.audio.codec, codec);
      assert.equal((await alice.participant.sent())[0].audio.codec, codec);
      unharmed(alice, bob);
    });
  }

  test('a publisher without H.264 is seen in VP8', async (t) => {
    const { alice, bob } = await callOf(t, { stripCodecs: 'H264' });
    assert.equal((await bob.playsStreamOf('alice')).status, 'PLAYING');
    const { inbound } = await bob.participant.perceives('#of-alice');
    assert.equal(inbound.video.codec, 'video/VP8');
    unharmed(alice, bob);
  });

  test('a player without the codec of the stream is told so', async (t) => {
    const { alice, bob } = await callOf(t, { constraints: { audio: false, video: true } });
    const { status, info } = await bob.playsStreamOf('alice', { stripCodecs: 'H264' });
    assert.deepEqual({ status, info }, { status: 'FAILED', info: 'No common codecs' });
    unharmed(alice, bob);
  });

  test('a stream that stops, by its owner or by leaving, stops for who plays it', async (t) => {
    const { room, alice, bob } = await callOf(t);
    await bob.playsStreamOf('alice');
    await alice.do('call', 'own', 'stop');
    await alice.hears({ what: 'status', key: 'own', status: 'UNPUBLISHED' });
    const stopped = { what: 'status', key: 'of-alice', status: 'STOPPED' };
    assert.equal((await bob.hears(stopped)).info, 'Stopped by publisher stop');

    assert.equal((await alice.do('publish', 'own-2')).status, 'PUBLISHING');
    await bob.participant.evaluate(() => (window.app.news.length = 0));
    await bob.playsStreamOf('alice');
    await alice.do('leave');
    await bob.hears(stopped);
    await bob.hears({ what: 'LEFT', name: 'alice' });
    assert.deepEqual(await alice.do('join', room), { people: ['bob'] });
    unharmed(alice, bob);
  });

  test('an unknown stream and a name in use are refused in words', async (t) => {
    const [alice, bob] = [await open(t, 'alice'), await open(t, 'bob')];
    const name = `show-${newRoom()}`;
    for (const app of [alice, bob]) {
      await app.do('connectWithoutRooms', { urlServer: server.ws });
    }
    const missing = await bob.do('playNamed', 'missing', name);
    assert.deepEqual([missing.status, missing.info], ['FAILED', 'Stream not found']);
    assert.equal((await alice.do('publishNamed', 'own', name)).status, 'PUBLISHING');
    const taken = await bob.do('publishNamed', 'taken', name);
    assert.deepEqual([taken.status, taken.info], ['FAILED', 'Stream name is already in use']);
    assert.equal((await bob.do('playNamed', 'there', name)).status, 'PLAYING');
    await bob.participant.perceives('#there');
    unharmed(alice, bob);
  });

  test('a session that ends takes its streams with it', async (t) => {
    const { alice, bob } = await callOf(t);
    await bob.playsStreamOf('alice');
    await alice.do('disconnect');
    await bob.hears({ what: 'status', key: 'of-alice', status: 'STOPPED' });
    await bob.hears({ what: 'LEFT', name: 'alice' });
    unharmed(alice, bob);
  });

  test('a client that checks the line by pings stays connected', async (t) => {
    const app = await open(t, 'alice');
    const options = { pingInterval: 200, receiveProbes: 4, probesInterval: 2_000 };
    const connect = { urlServer: server.ws, username: 'alice', ...options };
    assert.equal(await app.do('connect', connect), 'ESTABLISHED');
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    const news = await app.participant.evaluate(() => window.app.news);
    assert.deepEqual(news, [{ what: 'session', status: 'ESTABLISHED' }]);
    unharmed(app);
  });

  test('publishing, playing and leaving in haste leaves nothing behind', async (t) => {
    const { room, alice, bob } = await callOf(t);
    for (let round = 0; round < 5; round++) {
      await bob.participant.evaluate(() => {
        // Stopped while the server still thinks about them.
        for (const key of ['one', 'two', 'three']) {
          window.app.play(key, 'alice');
          window.app.call(key, 'stop');
          document.querySelector(`#${key}`).remove();
        }
        window.app.publish('brief');
        window.app.call('brief', 'stop');
        document.querySelector('#brief').remove();
      });
      await bob.do('leave');
      assert.deepEqual(await bob.do('join', room), { people: ['alice'] });
    }
    assert.equal((await bob.playsStreamOf('alice')).status, 'PLAYING');
    await bob.participant.perceives('#of-alice');
    await eventually('only the last play is left', async () => {
      const { publications, subscriptions } = await server.metrics();
      return publications === 1 && subscriptions === 1;
    });
    unharmed(alice, bob);
  });
});
