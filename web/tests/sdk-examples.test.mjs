// The examples of the SDK run, and so does it as one classic script.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { AppPage, newVisitor } from './support/parlor-app.mjs';
import { startServer } from './support/server.mjs';

const EXPECTED = {
  call: /alice is on the air\nbob: \S+ is PLAYING\ndone\n$/,
  chat: /before: alice: Is anybody here\?.*to all: I am!\n.*to me alone: Just between us\.\n/s,
  devices: /cameras: fake_device_0\n.*muted: true\ncamera off: true\n.*GONE: The chosen camera/s,
  screen: /shared as \S+-screenShare\ndone\n$/,
  stats: /(good|fair|poor), round trip \S+ ms, sound in opus\n {2}\d+×\d+ at .* in H264/,
  errors: /^UNREACHABLE: .*\nNAME_IN_USE: .*\ngiven up: AbortError\ndone\n$/,
};

describe('the examples of the SDK', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([
      startServer(suite, 'sdk examples'),
      startChromium(suite),
    ]);
  });

  for (const [name, expected] of Object.entries(EXPECTED)) {
    test(`${name} runs as it is shown`, async (t) => {
      const visitor = await newVisitor(t, browser, server, name);
      await visitor.page.goto(`${server.http}/sdk/examples/`);
      const shown = await visitor.page.locator(`#${name} .source`).textContent();
      assert.match(shown, /export async function run/);
      await visitor.page.locator(`#${name} button`, { hasText: 'Run' }).click();
      await visitor.reads(`#${name} .output`, /\bdone$/);
      const output = await visitor.evaluate(
        (id) => document.querySelector(`#${id} .output`).textContent, name);
      assert.match(output, expected);
      await visitor.page.locator(`#${name} button`, { hasText: 'Stop' }).click();
      // One of them asks on purpose for a server that is not there.
      if (name !== 'errors') visitor.isUnharmed();
    });
  }

  test('the page of examples can be used by everyone', async (t) => {
    const visitor = await newVisitor(t, browser, server, 'reader');
    const page = new AppPage(visitor);
    await visitor.page.goto(`${server.http}/sdk/examples/`);
    await page.has('section.card', Object.keys(EXPECTED).length);
    await page.isAccessible('the page of examples');
    await visitor.screenshot('sdk examples');
    visitor.isUnharmed();
  });

  test('one classic script gives the whole SDK by the time the page is loaded', async (t) => {
    const visitor = await newVisitor(t, browser, server, 'classic');
    await visitor.page.goto(`${server.http}/sdk/examples/global.html`);
    await visitor.reads('#result', 'ESTABLISHED as alice');
    const names = await visitor.evaluate(async () => {
      const ready = await window.Parlor.ready;
      return [typeof ready.connect, typeof window.Parlor.roomApi.connect, ready.ROOM_EVENT.STATE];
    });
    assert.deepEqual(names, ['function', 'function', 'STATE']);
    visitor.isUnharmed();
  });
});
