// Parlor's own apps in Chromium.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import { allUnharmed, AppPage, APPS, newVisitor } from './support/parlor-app.mjs';
import { eventually, sleep } from './support/participant.mjs';
import { startServer } from './support/server.mjs';

describe('the apps', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([startServer(suite, 'apps'), startChromium(suite)]);
  });

  const visit = async (t, name, app, options) =>
    new AppPage(await newVisitor(t, browser, server, name, options), app);

  describe('conference', () => {
    test('three people see and hear each other, and are told who came', async (t) => {
      const room = newRoom();
      const pages = [];
      for (const name of ['alice', 'bob', 'carol']) {
        pages.push(await (await visit(t, name)).join(room));
      }
      for (const viewer of pages) {
        for (const other of pages) {
          if (viewer === other) continue;
          const { inbound } = await viewer.meets(other.name);
          assert.equal(inbound.video.codec, 'video/H264');
        }
        await viewer.has('.tile', 3);
        await viewer.participant.reads('.count', '3 people');
      }
      const [alice, , carol] = pages;
      await alice.participant.reads('#chat', /bob joined.*carol joined/s);
      await carol.participant.reads('#chat', /Here already: alice, bob/);
      assert.equal(new URL(carol.page.url()).searchParams.get('room'), room);
      await carol.leave();
      await alice.has(alice.tile('carol'), 0);
      await alice.participant.reads('#chat', /carol left/);
      allUnharmed(...pages);
    });

    test('a participant leaves and comes back by one button', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).join(room);
      await bob.leave();
      await alice.has(alice.tile('bob'), 0);
      await bob.participant.click('#joinBtn');
      await bob.isOnTheAir();
      await alice.meets('bob');
      await bob.meets('alice');
      allUnharmed(alice, bob);
    });

    test('a taken name is refused in words, and another one is let in', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const other = await (await visit(t, 'alice')).open(room);
      await other.participant.click('#joinBtn');
      await other.participant.reads('#failedInfo', /has this name already/);
      await other.page.fill('#login', 'alicia');
      await other.enter();
      await alice.meets('alicia');
      allUnharmed(alice, other);
    });

    test('mute and camera are seen by the others, also by who comes later', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).join(room);
      await bob.meets('alice');
      await bob.has(`${bob.tile('alice')}.tile-speaking`);
      await alice.has(`${alice.tile('alice')}.tile-speaking`);
      await alice.participant.click('#localAudioToggle');
      await alice.participant.click('#localVideoToggle');
      const marks = (page) => `${page.tile('alice')}.tile-dark[data-muted="true"]`;
      await bob.has(marks(bob));
      await bob.has(`${bob.tile('alice')}.tile-speaking`, 0);
      const carol = await (await visit(t, 'carol')).join(room);
      await carol.has(marks(carol));
      const isOff = () => {
        const [track] = document.querySelector('.tile-self video').srcObject.getVideoTracks();
        return track === undefined;
      };
      assert.equal(await alice.participant.evaluate(isOff), true, 'the camera is closed');
      await alice.participant.click('#localAudioToggle');
      await alice.participant.click('#localVideoToggle');
      await bob.meets('alice');
      await carol.meets('alice');
      await bob.has(`${bob.tile('alice')}:not(.tile-dark)[data-muted="false"]`);
      allUnharmed(alice, bob, carol);
    });

    test('a screen is shown large, and ends for all', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).join(room);
      await alice.participant.click('#shareBtn');
      await bob.participant.perceives(bob.screenOf('alice'), { sound: false });
      await bob.has(`${bob.screenOf('alice')}.tile-main`);
      const carol = await (await visit(t, 'carol')).join(room);
      await carol.participant.perceives(carol.screenOf('alice'), { sound: false });
      await carol.participant.screenshot('app conference with a screen');
      await carol.meets('alice');
      await alice.participant.click('#shareBtn');
      for (const page of [alice, bob, carol]) await page.has('.tile-screen', 0);
      await bob.meets('alice');
      allUnharmed(alice, bob, carol);
    });

    test('who has neither camera nor microphone joins to watch', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await visit(t, 'bob');
      await bob.page.addInitScript(() => {
        navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException('no', 'NotAllowedError');
        };
      });
      await bob.open(room, { preview: false });
      await bob.participant.reads('.trouble', /not allowed to use the camera.*Allow it/s);
      await bob.participant.reads('.trouble', /join all the same/);
      await bob.enter();
      await bob.meets('alice');
      await alice.has(`${alice.tile('bob')}.tile-dark[data-muted="true"]`);
      await bob.participant.click('#localVideoToggle');
      await bob.participant.reads('.toasts', /not allowed to use the camera/);
      allUnharmed(alice, bob);
    });

    test('who joins without a camera turns it on in the call', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).open(room);
      await bob.participant.click('.preview-tools [data-what=camera]');
      await bob.participant.reads('.preview-off', 'Camera is off');
      await bob.enter();
      await alice.has(`${alice.tile('bob')}.tile-dark`);
      await bob.participant.click('#localVideoToggle');
      await alice.meets('bob');
      allUnharmed(alice, bob);
    });
  });

  describe('two way video chat', () => {
    test('two people meet, and a third one is told that the room is full', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice', APPS.pair)).join(room);
      await alice.participant.reads('.stage-hint', /Nobody else is here yet/);
      const bob = await (await visit(t, 'bob', APPS.pair)).join(room);
      await alice.meets('bob');
      await bob.meets('alice');
      await alice.has('#shareBtn', 0);
      await alice.has(`${alice.tile('bob')}.tile-main`);
      const carol = await (await visit(t, 'carol', APPS.pair)).open(room);
      await carol.participant.click('#joinBtn');
      await carol.participant.reads('#failedInfo', /room is full/);
      await alice.has('.tile', 2);
      allUnharmed(alice, bob, carol);
    });
  });

  describe('two way video chat & screen', () => {
    test('the shared screen is large, the faces are beside it', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice', APPS.screen)).join(room);
      const bob = await (await visit(t, 'bob', APPS.screen)).join(room);
      await bob.meets('alice');
      await alice.participant.click('#shareBtn');
      await alice.participant.reads('#shareBtn', 'Stop sharing');
      await bob.participant.perceives(bob.screenOf('alice'), { sound: false });
      await bob.has(`${bob.screenOf('alice')}.tile-main`);
      await bob.meets('alice');
      await alice.participant.click('#shareBtn');
      await bob.has('.tile-screen', 0);
      await bob.has(`${bob.tile('alice')}.tile-main`);
      allUnharmed(alice, bob);
    });
  });

  describe('chat', () => {
    const WEIRD = [
      '<img src=x onerror=alert(1)><script>document.title="owned"</script>',
      'שלום, ‮עולם‬ and back',
      '👩‍👩‍👧‍👦 🏳️‍🌈 é 字',
      'two\nlines',
      'x'.repeat(10_000),
    ];

    test('text arrives to the letter, whatever it is made of', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const odd = '<b>‮bob‬</b>';
      const bob = await (await visit(t, odd)).join(room);
      for (const text of WEIRD) {
        await bob.say(text);
        await alice.readsInChat(odd, text);
        await bob.readsInChat(odd, text);
      }
      assert.equal(await alice.count('#chat img, #chat script, .tile-name b'), 0);
      await alice.participant.reads(`.tile:not(.tile-self) .tile-name bdi`, odd);
      const [wide, shown] = await alice.participant.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return [scrollWidth, clientWidth];
      });
      assert.equal(wide, shown, 'a long word widens the page');
      const lines = await alice.lines();
      assert.ok(lines.every(({ time }) => /\d/.test(time)));
      allUnharmed(alice, bob);
    });

    test('what is too long is refused in words, and stays in the field', async (t) => {
      const alice = await (await visit(t, 'alice')).join(newRoom());
      await alice.say('ü'.repeat(17_000));
      await alice.participant.reads('.chat-error', /at most 32 kB/);
      assert.equal((await alice.page.inputValue('#message')).length, 17_000);
      alice.isUnharmed();
    });

    test('who comes late reads what was said', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      for (const text of ['one', 'two', 'three']) await alice.say(text);
      const bob = await (await visit(t, 'bob')).join(room);
      for (const text of ['one', 'two', 'three']) await bob.readsInChat('alice', text);
      const said = (await bob.lines()).filter(({ name }) => name).map(({ text }) => text);
      assert.deepEqual(said, ['one', 'two', 'three']);
      allUnharmed(alice, bob);
    });

    test('unread messages are counted while the chat is closed', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).join(room);
      await bob.participant.click('#chatBtn');
      await alice.say('are you there?');
      await alice.say('hello?');
      await bob.participant.reads('.badge', '2 unread');
      await bob.participant.click('#chatBtn');
      await bob.has('.badge[hidden]');
      await bob.readsInChat('alice', 'hello?');
      allUnharmed(alice, bob);
    });
  });

  describe('staying', () => {
    test('a reload takes the same place, and leaves no ghost', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).join(room);
      await bob.meets('alice');
      await alice.page.reload();
      await alice.hasPreview();
      await alice.enter();
      await bob.meets('alice', { within: 10_000 });
      await bob.has('.tile', 2);
      await alice.meets('bob');
      await sleep(4_500);
      const lines = (await bob.lines()).map(({ text }) => text);
      assert.ok(!lines.some((text) => /alice left/.test(text)), `${lines}`);
      allUnharmed(alice, bob);
    });

    test('a lost connection is told, and heals by itself', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await visit(t, 'bob');
      await bob.page.addInitScript(() => {
        const Socket = window.WebSocket;
        window.sockets = [];
        window.WebSocket = class extends Socket {
          constructor(...args) {
            if (window.isCut) args[0] = 'ws://localhost:9/';
            super(...args);
            window.sockets.push(this);
          }
        };
      });
      await bob.join(room);
      await bob.meets('alice');
      await alice.say('before');
      await bob.participant.evaluate(() => {
        window.isCut = true;
        window.sockets.at(-1).close();
      });
      await bob.participant.reads('#status', 'RECONNECTING');
      await bob.participant.reads('.banner', /Reconnecting/);
      await alice.has(alice.tile('bob'), 0);
      await alice.say('meanwhile');
      await bob.participant.evaluate(() => (window.isCut = false));
      await bob.isOnTheAir();
      await alice.meets('bob');
      await bob.meets('alice');
      await bob.has('.banner[hidden]');
      await bob.readsInChat('alice', 'meanwhile');
      await alice.say('after');
      await bob.readsInChat('alice', 'after');
      const said = (await bob.lines()).filter(({ name }) => name).map(({ text }) => text);
      assert.deepEqual(said, ['before', 'meanwhile', 'after']);
      alice.isUnharmed();
    });

    test('a poor connection is marked, and said to those who do not see the mark', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await visit(t, 'bob');
      await bob.page.addInitScript(() => {
        const { getStats } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.getStats = async function (...args) {
          const entries = new Map();
          window.lost = (window.lost ?? 0) + (window.isBad ? 500 : 0);
          (await getStats.apply(this, args)).forEach((entry, id) => {
            const isInbound = entry.type === 'inbound-rtp';
            entries.set(id, isInbound ? { ...entry, packetsLost: window.lost } : entry);
          });
          return entries;
        };
      });
      await bob.join(room);
      await bob.meets('alice');
      const mark = `${bob.tile('alice')} .mark-weak:not([hidden])`;
      await bob.has(mark, 0);
      await bob.participant.evaluate(() => (window.isBad = true));
      await bob.has(mark);
      await bob.participant.reads(mark, 'poor connection');
      await bob.participant.evaluate(() => (window.isBad = false));
      await bob.has(mark, 0);
      allUnharmed(alice, bob);
    });

    test('the address of a Flashphoner page’s invitation leads to the room', async (t) => {
      const alice = await visit(t, 'alice');
      await alice.page.goto(`${server.http}/apps/conference/?roomName=kitchen%20%26%20b`);
      assert.equal(await alice.page.inputValue('#room'), 'kitchen & b');
      await alice.page.goto(`${server.http}/apps/conference/`);
      assert.match(await alice.page.inputValue('#room'), /^[a-z]+-[a-z]+-[0-9]{3}$/);
      await alice.page.fill('#login', 'alice');
      await alice.hasPreview();
      await alice.enter();
      await alice.page.getByRole('button', { name: 'Invite' }).first().click();
      const link = await alice.page.inputValue('#inviteAddress');
      const bob = await visit(t, 'bob');
      await bob.page.goto(link);
      await bob.page.fill('#login', 'bob');
      await bob.hasPreview();
      await bob.enter();
      await alice.page.keyboard.press('Escape');
      await alice.meets('bob');
      allUnharmed(alice, bob);
    });

    test('another camera and microphone are taken in the middle of the call', async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice')).join(room);
      const bob = await (await visit(t, 'bob')).join(room);
      await bob.meets('alice');
      await alice.participant.click('#settingsBtn');
      await alice.page.selectOption('#pick-microphone', { index: 1 });
      await eventually('the microphone is another one', () =>
        alice.participant.evaluate(() => {
          const [track] = document.querySelector('.tile-self video').srcObject.getAudioTracks();
          const field = document.querySelector('dialog[open] #pick-microphone');
          return track?.getSettings().deviceId === field.value;
        }));
      await alice.page.keyboard.press('Escape');
      await bob.meets('alice');
      allUnharmed(alice, bob);
    });
  });
});
