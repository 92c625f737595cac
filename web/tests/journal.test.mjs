// A recorded call, over a line that loses, comes out again byte for byte, and is told.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import { allUnharmed, AppPage, newVisitor } from './support/parlor-app.mjs';
import { sleep } from './support/participant.mjs';
import { startRelay } from './support/relay.mjs';
import { BINARY, startServer } from './support/server.mjs';

/** How long the call goes on with the screen, over the line that loses. */
const SPAN_MS = 4_000;

/** The kind of a record that holds a datagram which came. */
const DATAGRAM = 3;

/** Where in a journal the last byte of the middle one of the datagrams that came is. */
function inTheMiddle(journal) {
  const ends = [];
  let at = 8;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = journal[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < journal.length) {
    const kind = journal[at++];
    varint();
    const length = varint();
    at += length;
    if (kind === DATAGRAM) ends.push(at - 1);
    at += 4;
  }
  return ends[ends.length >> 1];
}

describe('a journal', () => {
  const suite = lifetime();
  let browser;
  before(async () => {
    browser = await startChromium(suite);
  });

  /** Runs `parlor replay`; what it prints, and its exit status. */
  function replay(...args) {
    return new Promise((resolve) => {
      execFile(BINARY, ['replay', ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
        resolve({ status: error ? error.code : 0, text: stdout + stderr }));
    });
  }

  /** Someone whose media goes through the relay, in both directions. */
  async function visit(t, server, relay, name) {
    const participant = await newVisitor(t, browser, server, name);
    await participant.page.addInitScript((port) => {
      const { setRemoteDescription } = RTCPeerConnection.prototype;
      RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
        const through = sdp.replace(/^(a=candidate:.* udp \d+ \S+) \d+/gim, `$1 ${port}`);
        return setRemoteDescription.call(this, { type, sdp: through });
      };
    }, relay.port);
    return new AppPage(participant);
  }

  test('of a call with a screen over a bad line verifies, and names all of it', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'parlor-journal-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const journals = join(directory, 'journals');
    // One worker, so that the relay knows where media goes.
    const flags = ['--workers', '1', '--journal', journals];
    const server = await startServer(t, 'journal', flags);
    assert.match(server.log(), /it holds keys: who has it can read all media/);
    const relay = await startRelay(t, server.mediaPort, 20);
    const room = newRoom();
    const alice = await (await visit(t, server, relay, 'alice')).join(room);
    const bob = await (await visit(t, server, relay, 'bob')).join(room);
    await alice.meets('bob');
    await bob.meets('alice');
    await alice.say('can you see my screen?');
    await bob.readsInChat('alice', 'can you see my screen?');
    await alice.participant.click('#shareBtn');
    await bob.participant.perceives(bob.screenOf('alice'), { sound: false });
    await sleep(SPAN_MS);
    allUnharmed(alice, bob);
    const { towards, back } = relay.counts;
    assert.ok(towards.lost > 10 && back.lost > 10, JSON.stringify(relay.counts));
    for (const page of [alice, bob]) await page.leave();
    await server.stop();

    const files = readdirSync(journals).filter((name) => name.endsWith('.journal'));
    assert.equal(files.length, 1, `${files}`);
    const file = join(journals, files[0]);
    assert.equal(statSync(file).mode & 0o777, 0o600);

    const { status, text } = await replay('--story', '--room', room, file);
    t.diagnostic(`${statSync(file).size} bytes; ${text.split('\n').slice(-3).join(' ')}`);
    assert.equal(status, 0, text.split('\n').slice(-5).join('\n'));
    assert.match(text, /verified: all \d+ comparisons agree, nothing differs/);
    for (const told of [
      /alice enters the room/,
      /bob enters the room/,
      /alice says to everyone: "can you see my screen\?"/,
      /alice's stream "[^"]*": DTLS is done/,
      /alice's stream "[^"]*": the way from \S+ to \S+ is validated/,
      /bob, playing "[^"]*": the first key frame/,
      /alice, playing "[^"]*": the first key frame/,
      /the server asks for a key frame \(PLI\)/,
      /[1-9]\d* packets asked for again \(NACK\), [1-9]\d* come again/,
      /[1-9]\d* packets reported lost \(NACK\), [1-9]\d* sent again/,
      /alice leaves the room/,
      /bob leaves the room/,
    ]) {
      assert.match(text, told);
    }
    // The screen is a stream of its own, which bob plays.
    const published = new Set([...text.matchAll(/alice publishes ("[^"]*")/g)].map(([, n]) => n));
    const played = new Set([...text.matchAll(/bob plays ("[^"]*")/g)].map(([, n]) => n));
    assert.equal(published.size, 2, text);
    assert.deepEqual(played, published);
    assert.ok([...published].some((name) => /screen/i.test(name)), `${[...published]}`);

    const changed = readFileSync(file);
    const at = inTheMiddle(changed);
    changed[at] ^= 1;
    const other = join(directory, 'changed.journal');
    writeFileSync(other, changed);
    const refused = await replay(other);
    assert.equal(refused.status, 1, refused.text);
    const place = /it is damaged at byte (\d+), after \+([\d.]+)s/.exec(refused.text);
    assert.ok(place, refused.text);
    assert.ok(Number(place[1]) < at && at < Number(place[1]) + 2_000, `${place[0]}, not ${at}`);
    assert.ok(Number(place[2]) > 1, place[0]);
  });
});
