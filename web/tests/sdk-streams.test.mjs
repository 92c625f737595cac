// The SDK's streams in real browsers, where the apps do not reach.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { newFirefoxParticipant, startFirefox } from './support/firefox.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import { startServer } from './support/server.mjs';

const NEWCOMERS = { Chromium: newParticipant, Firefox: newFirefoxParticipant };

describe('the streams of the SDK', () => {
  const suite = lifetime();
  const browsers = {};
  let server;
  before(async () => {
    // All browsers know VP8.
    server = await startServer(suite, 'sdk streams', ['--video-codecs', 'vp8,h264']);
    browsers.Chromium = await startChromium(suite);
    browsers.Firefox = await startFirefox(suite);
  });

  /** Publishes as `publish` says and plays it on the same page, as `play` says. */
  async function call(t, browser, { publish, play = {} }) {
    const newcomer = await NEWCOMERS[browser](t, browsers[browser], server, 'alice');
    await newcomer.page.goto(`${server.http}/sdk/examples/global.html`);
    const status = await newcomer.evaluate(
      async ({ room, publish, play }) => {
        const { roomApi } = await import('/sdk/index.js');
        const enter = async (username) =>
          (await roomApi.connect({ username })).join({ name: room });
        const [alice, bob] = [await enter('alice'), await enter('bob')];
        const published = new Promise((resolve) => bob.on('PUBLISHED', (_, s) => resolve(s)));
        window.publication = await alice.publish({ constraints: publish });
        const place = document.createElement('div');
        place.id = 'place';
        document.body.append(place);
        window.playback = await (await published).play(place, play);
        return window.playback.status();
      },
      { room: newRoom(), publish, play },
    );
    assert.equal(status, 'PLAYING');
    return newcomer;
  }

  for (const browser of Object.keys(NEWCOMERS)) {
    test(`${browser}: a stream of pictures alone is seen`, async (t) => {
      const page = await call(t, browser, { publish: { audio: false, video: true } });
      await page.perceives('#place', { sound: false, plain: browser === 'Firefox' });
      const { audio, video, quality } = await page.evaluate(() => window.playback.stats());
      assert.equal(audio?.packets ?? 0, 0);
      assert.equal(video.codec, 'VP8');
      assert.ok(video.width > 0 && video.frames > 0);
      assert.equal(typeof quality, 'string');
      page.isUnharmed();
    });

    test(`${browser}: a stream of sound alone is heard`, async (t) => {
      const page = await call(t, browser, { publish: { audio: true, video: false } });
      await page.perceives('#place', { picture: false });
      const { audio, video } = await page.evaluate(() => window.playback.stats());
      assert.equal(audio.codec.toLowerCase(), 'opus');
      assert.equal(video?.packets ?? 0, 0);
      page.isUnharmed();
    });

    test(`${browser}: who asks for one of the two gets no more`, async (t) => {
      const page = await call(t, browser, {
        publish: { audio: true, video: true },
        play: { constraints: { audio: false } },
      });
      await page.perceives('#place', { sound: false, plain: browser === 'Firefox' });
      const kinds = await page.evaluate(() =>
        window.playback.mediaStream().getTracks().map(({ kind }) => kind));
      assert.deepEqual(kinds, ['video']);
      page.isUnharmed();
    });

    test(`${browser}: a camera is added to a stream of sound, in the middle`, async (t) => {
      const page = await call(t, browser, { publish: { audio: true, video: false } });
      await page.evaluate(async () => {
        const room = window.playback._room;
        const again = new Promise((resolve) => room.on('PUBLISHED', (_, s) => resolve(s)));
        await window.publication.startCamera();
        window.playback = await (await again).play(document.querySelector('#place'));
      });
      await page.perceives('#place', { plain: browser === 'Firefox' });
      page.isUnharmed();
    });
  }
});
