// Parlor's own apps, as a person uses them: by what is written on them and by their buttons.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { newParticipant } from './chromium.mjs';
import { eventually } from './participant.mjs';

export const APPS = { conference: 'conference', pair: 'two-way', screen: 'two-way-screen' };
export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Opens an empty page of Chromium that counts every fault and every request to elsewhere. */
export async function newVisitor(t, browser, server, name, { size = DESKTOP, identity } = {}) {
  const participant = await newParticipant(t, browser, server, name, identity);
  const { page } = participant;
  await page.setViewportSize(size);
  const fault = (request) => participant.errors.push(`not loaded: ${request.url()}`);
  page.on('requestfailed', fault);
  page.on('response', (response) => {
    if (response.status() >= 400) fault(response.request());
    if (response.request().resourceType() !== 'document') return;
    const policy = response.headers()['content-security-policy'] ?? '';
    if (!/default-src 'self'/.test(policy)) participant.errors.push(`no policy: ${policy}`);
    if (/unsafe/.test(policy)) participant.errors.push(`a lax policy: ${policy}`);
  });
  page.on('request', (request) => {
    const isOwn = request.url().startsWith(server.http) || request.url().startsWith(server.https);
    if (!isOwn) participant.errors.push(`asked elsewhere: ${request.url()}`);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') participant.errors.push(`console: ${message.text()}`);
  });
  return participant;
}

/** One participant in front of one of the apps. */
export class AppPage {
  constructor(participant, app = APPS.conference) {
    this.participant = participant;
    this.app = app;
  }

  get name() {
    return this.participant.name;
  }

  get page() {
    return this.participant.page;
  }

  /** Opens the lobby, and waits for the preview. */
  async open(room, { preview = true } = {}) {
    const query = new URLSearchParams({ room, name: this.name });
    await this.page.goto(`${this.participant.server.http}/apps/${this.app}/?${query}`);
    if (preview) await this.hasPreview();
    return this;
  }

  async hasPreview() {
    await eventually(
      `${this.name} sees the preview`,
      () =>
        this.participant.evaluate(
          () => document.querySelector('.preview-picture video')?.videoWidth > 0,
        ),
      { detail: () => this.participant.story() },
    );
  }

  /** Joins and is on the air. */
  async join(room) {
    await this.open(room);
    await this.enter();
    return this;
  }

  /** Presses Join in the lobby and waits to be on the air. */
  async enter() {
    await this.participant.click('#joinBtn');
    await this.isOnTheAir();
  }

  async isOnTheAir(options) {
    await this.participant.reads('#status', 'ESTABLISHED', options);
    await this.participant.reads('#localStatus', 'PUBLISHING', options);
  }

  async leave() {
    await this.participant.click('#leaveBtn');
    await this.participant.reads('h1', 'You left the room');
  }

  tile(name) {
    return `.tile[data-login="${name}"]:not(.tile-screen)`;
  }

  screenOf(name) {
    return `.tile-screen[data-login="${name}"]`;
  }

  /** Waits until `name` is seen and heard in the tile that carries the name. */
  meets(name, options) {
    return this.participant.perceives(this.tile(name), options);
  }

  count(selector) {
    return this.participant.evaluate((s) => document.querySelectorAll(s).length, selector);
  }

  async has(selector, count = 1, options) {
    let now;
    await eventually(
      `${this.name} has ${count} of ${selector}`,
      async () => (now = await this.count(selector)) === count,
      { detail: () => `there are ${now}\n${this.participant.story()}`, ...options },
    );
  }

  async say(text) {
    const field = '#message';
    await this.page.fill(field, text);
    await this.page.press(field, 'Enter');
  }

  /** The lines of the chat. */
  lines() {
    return this.participant.evaluate(() =>
      [...document.querySelectorAll('#chat .line')].map((line) => ({
        name: line.querySelector('b')?.textContent ?? null,
        text: (line.querySelector('.line-text') ?? line.querySelector('span')).textContent,
        time: line.querySelector('time').textContent,
      })),
    );
  }

  async readsInChat(name, text) {
    let lines;
    await eventually(
      `${this.name} reads ${JSON.stringify(text.slice(0, 60))} by ${name}`,
      async () => {
        lines = await this.lines();
        return lines.some((line) => line.name === name && line.text === text);
      },
      { detail: () => JSON.stringify(lines).slice(0, 2_000) },
    );
  }

  /** Asserts that axe-core finds nothing serious on the page as it stands. */
  async isAccessible(what) {
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() =>
      window.axe.run(document, { resultTypes: ['violations'] }));
    const serious = violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, help, nodes }) => ({ id, help, at: nodes.map((node) => node.html).slice(0, 3) }));
    assert.deepEqual(serious, [], `${what} has accessibility faults`);
  }

  isUnharmed() {
    this.participant.isUnharmed();
  }
}

export function allUnharmed(...pages) {
  for (const page of pages) page.isUnharmed();
}
