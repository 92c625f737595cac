// The SDK's Conference page, unmodified: up to three people in a room.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { allMeet, newRoom, RoomPage } from './support/pages.mjs';
import { startServer } from './support/server.mjs';

describe('conference page', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([
      startServer(suite, 'conference'),
      startChromium(suite),
    ]);
  });

  const person = async (t, name, identity) =>
    new RoomPage(await newParticipant(t, browser, server, name, identity));
  const unharmed = (...pages) => pages.forEach((page) => page.participant.isUnharmed());

  test('two people see and hear each other, in H.264 and Opus', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice')).join(room);
    await alice.readsInChat('chat', ' room is empty');
    const bob = await (await person(t, 'bob')).join(room);
    await bob.readsInChat('chat', 'participants: alice');
    for (const [viewer, other] of [[alice, 'bob'], [bob, 'alice']]) {
      const { inbound, picture } = await viewer.meets(other);
      assert.equal(inbound.video.codec, 'video/H264');
      assert.equal(inbound.audio.codec, 'audio/opus');
      assert.deepEqual([picture.width, picture.height, picture.muted], [320, 240, false]);
      const [sent] = await viewer.participant.sent();
      assert.equal(sent.video.codec, 'video/H264');
      assert.equal(sent.audio.codec, 'audio/opus');
    }
    await alice.participant.screenshot('conference of two');
    unharmed(alice, bob);
  });

  test('three people all meet, and a fourth is told that the room is full', async (t) => {
    const room = newRoom();
    const pages = [];
    for (const name of ['ann', 'ben', 'cat']) {
      pages.push(await (await person(t, name)).join(room));
    }
    await allMeet(pages);
    await pages[0].participant.screenshot('conference of three');

    const fourth = await (await person(t, 'dan')).open(room);
    await fourth.pressJoin();
    await fourth.participant.reads('#failedInfo', 'Current room is full.');
    await fourth.participant.reads('#joinBtn', 'Join');
    await fourth.participant.screenshot('conference that is full');
    await allMeet(pages);

    await pages[2].leave();
    await pages[0].hasNoTileOf('cat');
    await fourth.rejoin();
    await fourth.meets('ann');
    await pages[1].meets('dan');
    unharmed(...pages, fourth);
  });

  test('a tile shows and sounds the person that it names', async (t) => {
    const room = newRoom();
    const identities = {
      red: { colour: 'rgb(200, 30, 30)', tone: 600 },
      green: { colour: 'rgb(30, 160, 30)', tone: 1000 },
      blue: { colour: 'rgb(30, 30, 200)', tone: 1600 },
    };
    const pages = [];
    for (const [name, identity] of Object.entries(identities)) {
      pages.push(await (await person(t, name, identity)).join(room));
    }
    for (const page of pages) {
      for (const [name, identity] of Object.entries(identities)) {
        if (name === page.name) continue;
        const tile = await page.tileOf(name);
        await page.participant.isIdentified(tile, identity);
      }
    }
    await pages[0].participant.screenshot('conference of three colours');
  });

  test('people in another room are not met', async (t) => {
    const [here, there] = [newRoom(), newRoom()];
    const alice = await (await person(t, 'alice')).join(here);
    const bob = await (await person(t, 'bob')).join(here);
    const carol = await (await person(t, 'alice')).join(there);
    await allMeet([alice, bob]);
    assert.deepEqual(await carol.tiles(), ['NONE', 'NONE']);
    assert.deepEqual((await alice.tiles()).sort(), ['NONE', 'bob']);
    unharmed(alice, bob, carol);
  });

  test('who leaves is gone from the tiles, and can come back', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice')).join(room);
    const bob = await (await person(t, 'bob')).join(room);
    await allMeet([alice, bob]);
    for (let round = 0; round < 2; round++) {
      await bob.leave();
      await alice.hasNoTileOf('bob');
      await alice.readsInChat('bob', 'left');
      await bob.rejoin();
      await allMeet([alice, bob]);
    }
    unharmed(alice, bob);
  });

  test('a closed tab frees the tile and the name', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice')).join(room);
    const bob = await (await person(t, 'bob')).join(room);
    await alice.meets('bob');
    await bob.participant.page.close();
    await alice.hasNoTileOf('bob', { within: 5_000 });
    const again = await (await person(t, 'bob')).join(room);
    await allMeet([alice, again]);
    unharmed(alice, again);
  });

  test('who stops publishing ends for the others, and starts again', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice')).join(room);
    const bob = await (await person(t, 'bob')).join(room);
    await alice.meets('bob');
    await bob.participant.click('#localStopBtn');
    await bob.participant.reads('#localStatus', 'UNPUBLISHED');
    const tile = await alice.tileOf('bob');
    const button = tile.replace('Display', 'Btn');
    await alice.participant.reads(button, 'Play');
    await bob.participant.becomesEnabled('#localStopBtn');
    await bob.participant.click('#localStopBtn');
    await bob.participant.reads('#localStatus', 'PUBLISHING');
    await alice.meets('bob');
    unharmed(alice, bob);
  });

  test('a tile that was stopped plays again', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice')).join(room);
    const bob = await (await person(t, 'bob')).join(room);
    await alice.meets('bob');
    const button = (await alice.tileOf('bob')).replace('Display', 'Btn');
    await alice.participant.reads(button, 'Stop');
    await alice.participant.click(button);
    await alice.participant.reads(button, 'Play');
    await alice.participant.becomesEnabled(button);
    await alice.participant.click(button);
    await allMeet([alice, bob]);
    unharmed(alice, bob);
  });

  test('a second person of the same name is refused with a sentence', async (t) => {
    const room = newRoom();
    const alice = await (await person(t, 'alice')).join(room);
    const bob = await (await person(t, 'bob')).join(room);
    const impostor = await (await person(t, 'bob')).open(room);
    await impostor.pressJoin();
    await impostor.participant.reads('#failedInfo', /\w+ \w+/);
    await impostor.participant.reads('#status', 'DISCONNECTED');
    await impostor.participant.screenshot('conference with a name in use');
    await allMeet([alice, bob]);
    unharmed(alice, bob, impostor);
  });

  test('chat reaches every other, with emoji and scripts of other lands', async (t) => {
    const room = newRoom();
    const pages = [];
    for (const name of ['alice', 'bob', 'Łukasz 李']) {
      pages.push(await (await person(t, name)).join(room));
    }
    for (const page of pages) {
      const text = `hello from ${page.name} 👋🏽 “ünïcödé” مرحبا`;
      for (const other of pages) {
        if (other !== page) await page.tileOf(other.name);
      }
      await page.say(text);
      for (const other of pages) await other.readsInChat(page.name, text);
    }
    unharmed(...pages);
  });
});
