// Takes the pictures of the README: `node web/pictures/take.mjs`, after `cargo build`.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newParticipant, startChromium } from '../tests/support/chromium.mjs';
import { startServer } from '../tests/support/server.mjs';
import { AppPage, APPS, DESKTOP, PHONE } from '../tests/support/parlor-app.mjs';
import { sleep } from '../tests/support/participant.mjs';
import { drawInstead, LOOKS } from './people.mjs';

const PLACE = dirname(fileURLToPath(import.meta.url));
const PEOPLE = ['Ada', 'Tunde', 'Maren', 'Luis'];

const ends = [];
const run = { after: (end) => ends.push(end) };
try {
  const server = await startServer(run, 'pictures');
  const browser = await startChromium(run);

  async function open(i, app, room, { size = DESKTOP, colorScheme = 'light' } = {}) {
    const participant = await newParticipant(run, browser, server, PEOPLE[i]);
    const { page } = participant;
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    await page.addInitScript(drawInstead, { look: LOOKS[i] });
    return new AppPage(participant, app).open(room);
  }

  async function take(page, name) {
    // Not in the picture: what shows only where there is no mouse.
    await page.page.mouse.move(640, 795);
    await sleep(1_500);
    await page.page.screenshot({ path: join(PLACE, `${name}.png`) });
  }

  const pages = [];
  for (let i = 0; i < PEOPLE.length; i += 1) {
    const page = await open(i, APPS.conference, 'garden-club');
    if (i === 3) await take(page, 'app-lobby');
    await page.enter();
    pages.push(page);
  }
  const [ada, tunde, maren, luis] = pages;
  await ada.say('Hello everyone! Shall we start with the harvest?');
  await tunde.say('Yes. I have the numbers, one moment…');
  await maren.participant.click('#localAudioToggle');
  await luis.say('مرحبا! Sorry to be late.');
  for (const other of PEOPLE.slice(1)) await ada.meets(other, { sound: false });
  await take(ada, 'app-conference');
  for (const page of pages) await page.leave();

  const left = await open(0, APPS.screen, 'harvest', { colorScheme: 'dark' });
  await left.enter();
  const right = await open(1, APPS.screen, 'harvest', { size: PHONE, colorScheme: 'dark' });
  await right.enter();
  await right.meets('Ada', { sound: false });
  await right.participant.click('#shareBtn');
  await left.has(left.screenOf('Tunde'));
  await left.say('July was the best month!');
  await take(left, 'app-screen');
  await take(right, 'app-screen-phone');
} finally {
  for (const end of ends.reverse()) await end();
}
