// One person in front of one page, in either browser.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { instrument } from './instrument.mjs';
import { OUTPUT, slug } from './paths.mjs';

const PATIENCE_MS = 20_000;
const POLL_MS = 150;
const WATCH_MS = 500;

/** Below this a picture is one flat colour. */
const FLAT_VARIANCE = 60;
/** No colour of a black picture is brighter in the mean. */
const BLACK = 24;
/** Mean change of a pixel (of 255) between two looks at a picture that moves. */
const MOVING = 0.05;
/** Energy that beeps add to `totalAudioEnergy` in a second; the noise of silence adds 1e-9. */
const AUDIBLE = 1e-3;
/** Codecs and the white bar of the test picture shift a colour by less. */
const COLOUR_TOLERANCE = 40;
const TONE_TOLERANCE_HZ = 30;

/** Asks until the answer is truthy, and returns it; the error tells the last answer seen. */
export async function eventually(what, ask, { within = PATIENCE_MS, detail = () => '' } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) assert.fail(`${what}: not within ${within} ms\n${await detail()}`);
    await sleep(POLL_MS);
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Participant {
  /** Uncaught errors of the page: the SDK throws when the server breaks its contract. */
  errors = [];
  console = [];

  constructor(page, server, name) {
    this.page = page;
    this.server = server;
    this.name = name;
    page.on('pageerror', (error) => this.errors.push(String(error?.stack ?? error)));
    page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
  }

  async prepare(addInitScript, identity) {
    const { port, tlsPort } = this.server;
    await addInitScript(instrument, { ports: { ws: port, wss: tlsPort }, identity });
  }

  evaluate(script, ...args) {
    return this.page.evaluate(script, ...args);
  }

  click(selector) {
    return this.page.click(selector);
  }

  /** Types into a field, as the page's scripts read it. */
  fill(selector, value) {
    return this.evaluate(
      ({ selector, value }) => (document.querySelector(selector).value = value),
      { selector, value },
    );
  }

  /** The text a person reads in `selector`; null when it is not on the page. */
  text(selector) {
    return this.evaluate((s) => document.querySelector(s)?.textContent.trim() ?? null, selector);
  }

  enabled(selector) {
    return this.evaluate((s) => document.querySelector(s)?.disabled === false, selector);
  }

  async reads(selector, expected, options) {
    let text;
    const matches = expected instanceof RegExp ? (t) => expected.test(t) : (t) => t === expected;
    await eventually(
      `${this.name} reads ${expected} in ${selector}`,
      async () => matches((text = (await this.text(selector)) ?? '')),
      { detail: () => `it reads ${JSON.stringify(text)}\n${this.story()}`, ...options },
    );
    return text;
  }

  async becomesEnabled(selector, options) {
    await eventually(`${selector} of ${this.name} is enabled`, () => this.enabled(selector), {
      detail: () => this.story(),
      ...options,
    });
  }

  perceive(selector, tone) {
    const perceive = ({ selector, tone }) => window.parlorTest.perceive(selector, tone);
    return this.evaluate(perceive, { selector, tone });
  }

  sent() {
    return this.evaluate(() => window.parlorTest.sent());
  }

  /**
   * Waits until the video in `selector` is seen moving and heard, and returns what was perceived.
   *
   * @param {{picture?: boolean, sound?: boolean, plain?: boolean}} what switches off what the
   *   stream lacks; the camera is `plain` that shows one changing colour, as Firefox's fake does.
   */
  async perceives(selector, { picture = true, sound = true, plain = false, within } = {}) {
    let before = null;
    let now = null;
    const first = {};
    const seen = () =>
      before?.picture &&
      now?.picture &&
      now.inbound?.video?.frames > before.inbound?.video?.frames &&
      (plain || now.picture.variance > FLAT_VARIANCE) &&
      Math.max(...now.picture.mean) > BLACK &&
      now.picture.change > MOVING;
    const heard = () => {
      const energy = now?.inbound?.audio?.energy;
      first.energy ??= energy;
      return energy - first.energy > AUDIBLE;
    };
    await eventually(
      `${this.name} sees and hears ${selector}`,
      async () => {
        await sleep(WATCH_MS);
        [before, now] = [now, await this.perceive(selector)];
        const hears = heard();
        return (!picture || seen()) && (!sound || hears);
      },
      { within, detail: () => `last perceived: ${JSON.stringify(now)}\n${this.story()}` },
    );
    return now;
  }

  /** Waits until the picture has the colour and the sound the tone of `identity`, and no other. */
  async isIdentified(selector, { colour, tone }, options) {
    const wanted = colour.match(/\d+/g).map(Number);
    let now = null;
    await eventually(
      `${this.name} recognises ${colour} and ${tone} Hz in ${selector}`,
      async () => {
        now = await this.perceive(selector, tone);
        const mean = now?.picture?.mean ?? [];
        const sees = wanted.every((value, i) => Math.abs(value - mean[i]) < COLOUR_TOLERANCE);
        return sees && Math.abs(now.tone.loudest - tone) < TONE_TOLERANCE_HZ;
      },
      { detail: () => `last perceived: ${JSON.stringify(now)}\n${this.story()}`, ...options },
    );
  }

  /** Waits until no frame comes any more in `selector`, or its video is gone. */
  async picturesEnd(selector, options) {
    let before = null;
    let now = null;
    await eventually(
      `${this.name} sees ${selector} end`,
      async () => {
        await sleep(WATCH_MS);
        [before, now] = [now, await this.perceive(selector)];
        const frames = (perceived) => perceived?.inbound?.video?.frames;
        return before && (!now?.picture || frames(now) === frames(before));
      },
      options,
    );
  }

  /** Asserts that nothing was thrown in the page. */
  isUnharmed() {
    assert.deepEqual(this.errors, [], `uncaught errors in the page of ${this.name}`);
  }

  screenshot(title) {
    return this.page.screenshot({ path: join(OUTPUT, `${slug(title)}.png`) });
  }

  /** What the page said of itself, for the message of a failed test. */
  story() {
    return [`console of ${this.name}:`, ...this.console.slice(-25), ...this.errors].join('\n  ');
  }
}
