// The SDK's other example pages, unmodified: Two Way Video Chat, Two Way Video Chat & Screen, and
// the minimal streaming page, which publishes and plays by name outside any room.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { allMeet, newRoom, RoomPage, SCREEN_SHARING, VIDEO_CHAT } from './support/pages.mjs';
import { eventually } from './support/participant.mjs';
import { startServer } from './support/server.mjs';

const suite = lifetime();
let browser;
let server;
before(async () => {
  [server, browser] = await Promise.all([startServer(suite, 'examples'), startChromium(suite)]);
});

const person = async (t, name, path) =>
  new RoomPage(await newParticipant(t, browser, server, name), path);

describe('two way video chat page', () => {
  test('two people meet and chat, and a third is told that the room is full', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice', VIDEO_CHAT)).join(room);
    const bob = await (await person(t, 'bob', VIDEO_CHAT)).join(room);
    await allMeet([alice, bob]);
    await alice.say('is it you?');
    await bob.readsInChat('alice', 'is it you?');
    const carol = await (await person(t, 'carol', VIDEO_CHAT)).open(room);
    await carol.pressJoin();
    await carol.participant.reads('#failedInfo', 'Current room is full.');
    await alice.participant.screenshot('video chat');
    await bob.leave();
    await alice.hasNoTileOf('bob');
    await bob.rejoin();
    await allMeet([alice, bob]);
    for (const page of [alice, bob, carol]) page.participant.isUnharmed();
  });
});

describe('two way video chat and screen page', () => {
  test('a shared screen is seen at the other side, beside the camera, until it ends', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice', SCREEN_SHARING)).join(room);
    const bob = await (await person(t, 'bob', SCREEN_SHARING)).join(room);
    await allMeet([alice, bob]);

    await alice.participant.click('#shareBtn');
    await alice.participant.reads('#shareBtn', 'Unshare');
    // A screen may stand still: what counts is that there is a picture, and of what size.
    let shared;
    await eventually(
      'bob sees the screen',
      async () => {
        shared = await bob.participant.perceive('#sharedDisplay');
        return shared?.picture && shared.inbound.video.frames > 0;
      },
      { detail: () => `${JSON.stringify(shared)}\n${bob.participant.story()}` },
    );
    assert.deepEqual([shared.picture.width, shared.picture.height], [640, 480]);
    await allMeet([alice, bob]);
    await bob.participant.screenshot('screen sharing');

    await alice.participant.click('#shareBtn');
    await alice.participant.reads('#shareBtn', 'Share');
    await eventually('the screen is gone from the page of bob', async () => {
      return (await bob.participant.perceive('#sharedDisplay')) === null;
    });
    await allMeet([alice, bob]);
    for (const page of [alice, bob]) page.participant.isUnharmed();
  });

  test('who comes later sees the screen that is already shared', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice', SCREEN_SHARING)).join(room);
    await alice.participant.click('#shareBtn');
    await alice.participant.reads('#shareBtn', 'Unshare');
    const bob = await (await person(t, 'bob', SCREEN_SHARING)).join(room);
    await allMeet([alice, bob]);
    await eventually('bob sees the screen', async () => {
      return (await bob.participant.perceive('#sharedDisplay'))?.picture?.width === 640;
    });
    for (const page of [alice, bob]) page.participant.isUnharmed();
  });
});

describe('minimal streaming page', () => {
  /** Opens the page, which knows no other port than 8080, and connects it to this server. */
  async function connect(t, name) {
    const participant = await newParticipant(t, browser, server, name);
    await participant.page.goto(`${server.http}/examples/min/streaming.html`);
    await participant.fill('#urlServer', server.ws);
    await participant.click('#connect');
    await eventually(`${name} is connected`, async () =>
      participant.console.some((line) => line.includes('Session established')),
    );
    return participant;
  }

  test('a stream outside any room is played by its name', async (t) => {
    const name = `stream ${newRoom()}`;
    const [publisher, player] = [await connect(t, 'publisher'), await connect(t, 'player')];
    for (const each of [publisher, player]) await each.fill('#streamName', name);
    await publisher.click('#publish');
    await publisher.reads('#display', /Status: PUBLISHING/);
    await player.click('#play');
    await player.reads('#display', /Status: PLAYING/);
    await player.perceives('#display');
    await player.screenshot('stream by name');
    await publisher.click('#display input[value=Unpublish]');
    await player.reads('#display', '');
    for (const each of [publisher, player]) each.isUnharmed();
  });
});
