// An app of the published SDK moves over by changing its import: the script of its Conference
// page, unmodified, runs on our SDK.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { allMeet, newRoom, RoomPage } from './support/pages.mjs';
import { startServer } from './support/server.mjs';

const EXAMPLES = '/examples/demo';

/** The Conference page, with our SDK in the place of the published one. */
class MovedPage extends RoomPage {
  async open(room) {
    const { page, server } = this.participant;
    await page.goto(`${server.http}/sdk/examples/global.html?roomName=${room}`);
    await page.evaluate(async (examples) => {
      await window.Parlor.ready;
      const path = `${examples}/streaming/conference/`;
      const html = await (await fetch(`${path}conference.html`)).text();
      document.body.replaceWith(new DOMParser().parseFromString(html, 'text/html').body);
      window._participants = 3;
      for (const script of [
        `${examples}/dependencies/jquery/jquery-1.12.0.js`,
        `${examples}/dependencies/js/utils.js`,
        `${path}conference.js`,
      ]) {
        const element = document.createElement('script');
        element.src = script;
        const loaded = new Promise((resolve) => (element.onload = resolve));
        document.head.append(element);
        await loaded;
      }
      window.init_page();
    }, EXAMPLES);
    return this;
  }
}

describe('the script of the published Conference page on our SDK', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([
      startServer(suite, 'sdk moves'),
      startChromium(suite),
    ]);
  });

  test('holds a call: pictures, chat, leaving and coming back', async (t) => {
    const room = newRoom();
    const pages = [];
    for (const name of ['alice', 'bob']) {
      const participant = await newParticipant(t, browser, server, name);
      pages.push(await new MovedPage(participant).join(room));
    }
    const [alice, bob] = pages;
    await allMeet(pages);
    await alice.say('hello');
    await bob.readsInChat('alice', 'hello');
    assert.equal(await alice.participant.evaluate(
      () => document.querySelectorAll('#localDisplay video').length), 1);
    await bob.leave();
    await alice.hasNoTileOf('bob');
    await bob.rejoin();
    await allMeet(pages);
    for (const page of pages) page.participant.isUnharmed();
  });
});
