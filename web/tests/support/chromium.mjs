// Debian's Chromium with a fake camera and microphone.
import { chromium } from 'playwright-core';
import { Participant } from './participant.mjs';

const EXECUTABLE = process.env.PARLOR_CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
  // Media stays on this machine: loopback is a network like another, no other name resolves.
  '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
];

/** Starts a browser that ends with the suite or test `t`; participants share it. */
export async function startChromium(t) {
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    headless: false,
    chromiumSandbox: false,
    args: FLAGS,
  });
  t.after(() => browser.close());
  return browser;
}

/** Starts a browser whose processes can be sent a signal, all together. */
export async function launchChromium(t) {
  const running = await chromium.launchServer({
    executablePath: EXECUTABLE,
    headless: false,
    chromiumSandbox: false,
    args: FLAGS,
  });
  const signal = (name) => process.kill(-running.process().pid, name);
  t.after(() => running.kill());
  return { browser: await chromium.connect(running.wsEndpoint()), signal };
}

/**
 * Opens an empty page in a fresh profile for one participant.
 *
 * @param {{colour: string, tone: number}} [identity] replaces the fake camera and microphone.
 */
export async function newParticipant(t, browser, server, name, identity) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1000, height: 1100 },
  });
  const page = await context.newPage();
  const participant = new Participant(page, server, name);
  await participant.prepare((script, argument) => page.addInitScript(script, argument), identity);
  // A browser that a test has killed has nothing left to close.
  t.after(() => browser.isConnected() && context.close());
  return participant;
}
