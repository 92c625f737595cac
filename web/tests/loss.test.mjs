// Bad lines, and browsers and servers that go in the middle of a call.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { App } from './support/app.mjs';
import { launchChromium, newParticipant, startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom, RoomPage } from './support/pages.mjs';
import { eventually, sleep } from './support/participant.mjs';
import { startRelay } from './support/relay.mjs';
import { startServer } from './support/server.mjs';

const ICE_TIMEOUT_S = 4;
/** How long a call over a bad line is watched. */
const SPAN_S = 5;
/** By how much a picture is late whose line is too narrow for it. */
const PICTURE_LATENESS_MS = 500;

/** By how much pictures are later than the sound of the same pulse: the median, in ms. */
function skewOf({ picture, sound }) {
  const later = picture.flatMap((at) => {
    const nearest = Math.min(...sound.map((other) => Math.abs(at - other)));
    return sound.filter((other) => Math.abs(at - other) === nearest).map((other) => at - other);
  });
  later.sort((a, b) => a - b);
  return Math.round(later[Math.floor(later.length / 2)]);
}

describe('a call', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    // One worker, so that the relay knows where media goes.
    const flags = ['--workers', '1', '--ice-timeout', String(ICE_TIMEOUT_S)];
    [server, browser] = await Promise.all([
      startServer(suite, 'loss', flags),
      startChromium(suite),
    ]);
  });

  /** Alice sees Bob, who sits at a browser of his own. */
  async function callWithDoomed(t) {
    const room = newRoom();
    const doomed = await launchChromium(t);
    const alice = new RoomPage(await newParticipant(t, browser, server, 'alice'));
    await alice.join(room);
    const bob = new RoomPage(await newParticipant(t, doomed.browser, server, 'bob'));
    await bob.join(room);
    await alice.meets('bob');
    return { room, alice, doomed, tile: await alice.tileOf('bob') };
  }

  test('loses at once whose browser is killed', async (t) => {
    const { room, alice, doomed } = await callWithDoomed(t);
    doomed.signal('SIGKILL');
    await alice.hasNoTileOf('bob', { within: 5_000 });
    const again = new RoomPage(await newParticipant(t, browser, server, 'bob'));
    await again.join(room);
    await alice.meets('bob');
    alice.participant.isUnharmed();
  });

  test('loses in the ICE timeout whose network is silent', async (t) => {
    const { alice, doomed, tile } = await callWithDoomed(t);
    doomed.signal('SIGSTOP');
    const within = ICE_TIMEOUT_S * 1_000 + 3_000;
    await alice.participant.reads(tile.replace('Display', 'Btn'), 'Play', { within });
    await alice.participant.screenshot('conference with a lost participant');
    alice.participant.isUnharmed();
  });

  for (const [what, publish, play] of [
    ['to the server', true, false],
    ['from the server', false, true],
  ]) {
    test(`goes on over a line that loses every twentieth packet ${what}`, async (t) => {
      const room = newRoom();
      const relay = await startRelay(t, server.mediaPort, 20);
      const open = async (name) =>
        new App(await newParticipant(t, browser, server, name)).open();
      const [alice, bob] = [await open('alice'), await open('bob')];
      await alice.joinRoom(room);
      await alice.do('publish', 'own', { relay: publish && relay.port });
      await bob.joinRoom(room);
      await bob.playsStreamOf('alice', { relay: play && relay.port });
      await bob.participant.perceives('#of-alice');
      const early = (await bob.participant.perceive('#of-alice')).inbound.video;
      await sleep(SPAN_S * 1_000);
      const { video } = (await bob.participant.perceive('#of-alice')).inbound;
      const direction = publish ? relay.counts.towards : relay.counts.back;
      assert.ok(direction.lost > 10, `the line lost ${direction.lost} packets`);
      const rate = (video.frames - early.frames) / SPAN_S;
      assert.ok(rate > 10, `${rate} frames a second, ${JSON.stringify({ early, video })}`);
      const repaired = publish
        ? (await alice.participant.sent())[0].video.recovered
        : video.recovered;
      assert.ok(repaired > 0, `nothing was sent again, ${JSON.stringify(video)}`);
      t.diagnostic(`${rate} frames a second, ${repaired} packets sent again, ${video.pli} PLI`);
      for (const app of [alice, bob]) app.participant.isUnharmed();
    });
  }

  test('tells how much later a picture comes to the server than its sound', async (t) => {
    const room = newRoom();
    const relay = await startRelay(t, server.mediaPort, Infinity, PICTURE_LATENESS_MS);
    const identity = { colour: 'rgb(250, 250, 250)', tone: 800, pulse: 2_400 };
    const alice = new App(await newParticipant(t, browser, server, 'alice', identity));
    const bob = new App(await newParticipant(t, browser, server, 'bob'));
    for (const app of [alice, bob]) await app.open();
    await alice.joinRoom(room);
    await alice.do('publish', 'own', { relay: relay.port });
    await bob.joinRoom(room);
    await bob.playsStreamOf('alice');
    // A browser holds sound back for its picture by and by. How fast is its own affair, but it must
    // know how far they are apart.
    const seen = [];
    let rounds = 0;
    await eventually(
      'the browser knows how far sound and picture are apart',
      async () => {
        const pulses = await bob.participant.evaluate(
          (span) => window.parlorTest.pulses('#of-alice', span),
          3 * identity.pulse,
        );
        const skew = skewOf(pulses);
        seen.push(`${skew} (told ${pulses.told})`);
        // One may be by chance.
        const knows = Math.abs(skew - pulses.told) < PICTURE_LATENESS_MS / 3;
        rounds = knows ? rounds + 1 : 0;
        return rounds === 2;
      },
      { within: 50_000, detail: () => `the picture was later by ${seen} ms` },
    );
    t.diagnostic(`the picture was later by ${seen} ms`);
    for (const app of [alice, bob]) app.participant.isUnharmed();
  });

  test('is seen by a late comer within two seconds, from a key frame', async (t) => {
    const room = newRoom();
    const open = async (name) => new App(await newParticipant(t, browser, server, name)).open();
    const [alice, bob] = [await open('alice'), await open('bob')];
    await alice.joinRoom(room);
    await alice.do('publish', 'own');
    await bob.joinRoom(room);
    for (let round = 0; round < 3; round++) {
      await sleep(1_500);
      await bob.playsStreamOf('alice');
      const from = Date.now();
      await eventually(
        'the first picture',
        async () => (await bob.participant.perceive('#of-alice'))?.picture,
        { within: 2_000 },
      );
      t.diagnostic(`first picture after ${Date.now() - from} ms`);
      await bob.do('call', 'of-alice', 'stop');
      await bob.hears({ what: 'status', key: 'of-alice', status: 'STOPPED' });
      await bob.participant.evaluate(() => {
        window.app.news.length = 0;
        document.querySelector('#of-alice').remove();
      });
    }
    for (const app of [alice, bob]) app.participant.isUnharmed();
  });

  test('ends in order when the server stops, and starts again on the next server', async (t) => {
    const room = newRoom();
    const doomed = await startServer(t, 'stops in a call');
    const alice = new RoomPage(await newParticipant(t, browser, doomed, 'alice'));
    await alice.join(room);
    const bob = new RoomPage(await newParticipant(t, browser, doomed, 'bob'));
    await bob.join(room);
    await alice.meets('bob');
    const from = Date.now();
    await doomed.stop({ inUse: true });
    assert.ok(Date.now() - from < 4_000, `the server took ${Date.now() - from} ms to stop`);
    for (const page of [alice, bob]) {
      await page.participant.reads('#status', 'DISCONNECTED');
      await page.participant.reads('#joinBtn', 'Join');
    }
    for (const page of [alice, bob]) {
      await page.participant.fill('#url', server.ws);
      await page.rejoin();
    }
    await alice.meets('bob');
    await bob.meets('alice');
    for (const page of [alice, bob]) page.participant.isUnharmed();
  });
});
