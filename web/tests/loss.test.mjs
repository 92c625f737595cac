// Browsers that vanish without a word.
import { before, describe, test } from 'node:test';
import { launchChromium, newParticipant, startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom, RoomPage } from './support/pages.mjs';
import { startServer } from './support/server.mjs';

const ICE_TIMEOUT_S = 4;

describe('a publisher that is lost', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    const flags = ['--ice-timeout', String(ICE_TIMEOUT_S)];
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

  test('by a browser that is killed, is gone at once', async (t) => {
    const { room, alice, doomed } = await callWithDoomed(t);
    doomed.signal('SIGKILL');
    await alice.hasNoTileOf('bob', { within: 5_000 });
    const again = new RoomPage(await newParticipant(t, browser, server, 'bob'));
    await again.join(room);
    await alice.meets('bob');
    alice.participant.isUnharmed();
  });

  test('by a network that is silent, ends for the players in the ICE timeout', async (t) => {
    const { alice, doomed, tile } = await callWithDoomed(t);
    doomed.signal('SIGSTOP');
    const within = ICE_TIMEOUT_S * 1_000 + 3_000;
    await alice.participant.reads(tile.replace('Display', 'Btn'), 'Play', { within });
    await alice.participant.screenshot('conference with a lost participant');
    alice.participant.isUnharmed();
  });
});
