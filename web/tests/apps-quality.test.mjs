// How good the apps are: how fast, how they look, and who can use them.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import {
  allUnharmed, AppPage, APPS, DESKTOP, newVisitor, PHONE,
} from './support/parlor-app.mjs';
import { startServer } from './support/server.mjs';

const JOINS = 20;
const FIRST_PICTURE_MS = 600;
/** What else the machine does costs time too: the figure is printed, and only much more fails. */
const NOISE = 4;

describe('the apps', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([
      startServer(suite, 'apps quality'),
      startChromium(suite),
    ]);
  });

  const visit = async (t, name, app, options) =>
    new AppPage(await newVisitor(t, browser, server, name, options), app);

  test(`the first picture is there ${FIRST_PICTURE_MS} ms after the click`, async (t) => {
    const room = newRoom();
    const alice = await (await visit(t, 'alice')).join(room);
    const bob = await (await visit(t, 'bob')).open(room);
    const times = [];
    for (let i = 0; i < JOINS; i += 1) {
      const took = await bob.participant.evaluate(async () => {
        const from = performance.now();
        document.querySelector('#joinBtn').click();
        for (;;) {
          const video = document.querySelector('.tile[data-login=alice] video');
          if (video?.getVideoPlaybackQuality().totalVideoFrames > 0) break;
          if (performance.now() - from > 10_000) break;
          await new Promise((resolve) => setTimeout(resolve, 4));
        }
        return Math.round(performance.now() - from);
      });
      times.push(took);
      await bob.isOnTheAir();
      await bob.leave();
      // From the lobby: the devices are open when Join is pressed.
      await bob.page.getByRole('button', { name: 'Change name' }).click();
      await bob.hasPreview();
    }
    times.sort((a, b) => a - b);
    const p95 = times[Math.ceil(0.95 * JOINS) - 1];
    const median = times[JOINS / 2];
    const kept = p95 < FIRST_PICTURE_MS ? 'within' : 'over';
    console.log(
      `first picture after Join: median ${median} ms, p95 ${p95} ms of ${JOINS} joins, ` +
        `${kept} ${FIRST_PICTURE_MS} ms`,
    );
    assert.ok(p95 < NOISE * FIRST_PICTURE_MS, `p95 is ${p95} ms: ${times}`);
    allUnharmed(alice, bob);
  });

  for (const [look, size, colorScheme] of [
    ['desktop', DESKTOP, 'light'],
    ['phone', PHONE, 'dark'],
  ]) {
    test(`on a ${look}, ${colorScheme}, everyone can use the pages`, async (t) => {
      const room = newRoom();
      const alice = await visit(t, 'alice', APPS.conference, { size });
      const shot = (page, what) => page.participant.screenshot(`app ${what} ${look}`);
      await alice.page.emulateMedia({ colorScheme });
      await alice.page.goto(`${server.http}/`);
      await alice.isAccessible('the start page');
      await shot(alice, 'start');
      await alice.open(room);
      await alice.isAccessible('the lobby');
      await shot(alice, 'lobby');
      await alice.enter();
      await alice.isAccessible('a room of one');
      const bob = await (await visit(t, 'bob')).join(room);
      const carol = await (await visit(t, 'carol')).join(room);
      for (const other of ['bob', 'carol']) await alice.meets(other);
      await bob.participant.click('#localVideoToggle');
      await bob.say('Can everyone see the plan?');
      if (size === PHONE) await shot(alice, 'conference');
      if (size === PHONE) await alice.participant.click('#chatBtn');
      await alice.readsInChat('bob', 'Can everyone see the plan?');
      await alice.say('Yes, all good here.');
      await carol.say('👍');
      await alice.readsInChat('carol', '👍');
      await alice.has(`${alice.tile('bob')}.tile-dark`);
      await alice.isAccessible('the call');
      await shot(alice, size === PHONE ? 'chat' : 'conference');
      if (size === PHONE) await alice.participant.click('#chatBtn');
      await alice.participant.click('#settingsBtn');
      await alice.isAccessible('the devices');
      await alice.page.keyboard.press('Escape');
      await alice.page.getByRole('button', { name: 'Invite' }).first().click();
      await alice.isAccessible('the invitation');
      await shot(alice, 'invitation');
      await alice.page.keyboard.press('Escape');
      await alice.leave();
      await alice.isAccessible('the page after the call');
      const overflow = () => document.documentElement.scrollWidth - innerWidth;
      assert.ok((await alice.participant.evaluate(overflow)) <= 0, 'the page is too wide');
      allUnharmed(alice, bob, carol);
    });
  }

  for (const [app, title] of [
    [APPS.pair, 'two way'],
    [APPS.screen, 'two way and screen'],
  ]) {
    test(`${title} looks well, on a desktop and on a phone`, async (t) => {
      const room = newRoom();
      const alice = await (await visit(t, 'alice', app)).join(room);
      const bob = await visit(t, 'bob', app, { size: PHONE });
      await bob.page.emulateMedia({ colorScheme: 'dark' });
      await bob.join(room);
      await alice.meets('bob');
      await bob.meets('alice');
      if (app === APPS.screen) {
        await alice.participant.click('#shareBtn');
        await bob.participant.perceives(bob.screenOf('alice'), { sound: false });
      }
      await alice.isAccessible(title);
      await bob.isAccessible(title);
      await alice.participant.screenshot(`app ${title} desktop`);
      await bob.participant.screenshot(`app ${title} phone`);
      allUnharmed(alice, bob);
    });
  }

  test('six people fit on a page, and on a phone', async (t) => {
    const room = newRoom();
    const alice = await (await visit(t, 'alice')).join(room);
    const bob = await (await visit(t, 'bob', APPS.conference, { size: PHONE })).join(room);
    for (const name of ['carol', 'dave', 'erin', 'frank']) {
      // They have nothing on: a test machine does not decode so many pictures at once.
      const page = await visit(t, name);
      await page.page.addInitScript(() => {
        const choices = { cameraOn: false, microphoneOn: false };
        localStorage.setItem('parlor.choices', JSON.stringify(choices));
      });
      await page.open(room, { preview: false });
      await page.participant.reads('.preview-off', 'Camera is off');
      await page.enter();
    }
    for (const page of [alice, bob]) {
      await page.has('.tile', 6);
      const boxes = await page.participant.evaluate(() =>
        [...document.querySelectorAll('.tile')].map((tile) => {
          const { left, top, right, bottom } = tile.getBoundingClientRect();
          return { left, top, right, bottom };
        }));
      for (const [i, a] of boxes.entries()) {
        assert.ok(a.right - a.left > 110, 'a tile is too small');
        for (const b of boxes.slice(i + 1)) {
          const apart =
            a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
          assert.ok(apart, 'tiles overlap');
        }
      }
    }
    await alice.participant.screenshot('app conference of six desktop');
    await bob.participant.screenshot('app conference of six phone');
  });

  test('a call is held by the keyboard alone', async (t) => {
    const room = newRoom();
    const alice = await (await visit(t, 'alice')).join(room);
    const bob = await (await visit(t, 'bob')).open(room);
    const { keyboard } = bob.page;
    /** Tabs until the control with this name has the focus, and sees to it that this shows. */
    async function reach(name) {
      for (let i = 0; i < 40; i += 1) {
        await keyboard.press('Tab');
        const focused = await bob.participant.evaluate(() => {
          const element = document.activeElement;
          const { outlineStyle, outlineWidth } = getComputedStyle(element);
          return {
            name: element.getAttribute('aria-label') ?? element.textContent.trim(),
            isShown: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
          };
        });
        if (focused.name !== name) continue;
        assert.ok(focused.isShown, `the focus on ${name} shows`);
        return;
      }
      assert.fail(`${name} is not reached`);
    }
    await reach('Join');
    await keyboard.press('Enter');
    await bob.isOnTheAir();
    await alice.meets('bob');
    await reach('Mute');
    await keyboard.press('Space');
    await alice.has(`${alice.tile('bob')}[data-muted="true"]`);
    await keyboard.press('Alt+m');
    await alice.has(`${alice.tile('bob')}[data-muted="false"]`);
    await reach('Leave');
    await keyboard.press('Enter');
    await bob.participant.reads('h1', 'You left the room');
    await keyboard.press('Enter');
    await bob.isOnTheAir();
    allUnharmed(alice, bob);
  });
});
