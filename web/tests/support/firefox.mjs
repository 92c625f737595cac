// Debian's Firefox ESR with a fake camera and microphone, driven over WebDriver BiDi.
import puppeteer from 'puppeteer-core';
import { Participant } from './participant.mjs';

const EXECUTABLE = process.env.PARLOR_FIREFOX ?? '/usr/bin/firefox-esr';
const PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  // Media stays on this machine. Without these permissions only the address of the default route
  // is a candidate, fake devices or not.
  'media.peerconnection.ice.loopback': true,
  'permissions.default.camera': 1,
  'permissions.default.microphone': 1,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  // Nothing leaves this machine: every address but loopback goes to a proxy that is not there.
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
  'network.manage-offline-status': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.prefetch-next': false,
  'app.update.enabled': false,
  'app.update.auto': false,
  'app.normandy.enabled': false,
  'app.shield.optoutstudies.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.safebrowsing.downloads.remote.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.unified': false,
  'toolkit.telemetry.server': '',
  'extensions.update.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.blocklist.enabled': false,
  'services.settings.server': 'http://127.0.0.1:9/',
  'media.gmp-manager.updateEnabled': false,
  'media.gmp-manager.url': '',
  'media.gmp-gmpopenh264.autoupdate': false,
  'media.gmp-gmpopenh264.enabled': false,
};

/** Starts a Firefox with a fresh profile that ends with the suite or test `t`. */
export async function startFirefox(t) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: EXECUTABLE,
    headless: true,
    acceptInsecureCerts: true,
    extraPrefsFirefox: PREFERENCES,
  });
  t.after(() => browser.close());
  return browser;
}

/** Opens an empty page for one participant. */
export async function newFirefoxParticipant(t, browser, server, name, identity) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1000, height: 1100 });
  const participant = new Participant(page, server, name);
  await participant.prepare(
    (script, argument) => page.evaluateOnNewDocument(script, argument),
    identity,
  );
  t.after(() => page.close());
  return participant;
}
