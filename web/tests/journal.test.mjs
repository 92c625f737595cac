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
import { eventually, sleep } from './support/participant.mjs';
import { startRelay } from './support/relay.mjs';
import { BINARY, startServer } from './support/server.mjs';

/** How long the call goes on with the screen, over the line that loses. */
const SPAN_MS = 4_000;

/** How long media of Alice are kept from the server, and how long all is well before and after it. */
const CUT_MS = 3_500;
const SETTLE_MS = 3_000;

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
    // Its own thread says so, as the server begins.
    const warning = 'it holds keys: who has it can read all media';
    await eventually('it is said what a journal holds', () => server.log().includes(warning));
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

  // The walk through a frozen picture in runtime/REPLAY.md, with what it says of each step.
  test('tells why a picture stood still, step by step', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'parlor-journal-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const flags = ['--workers', '1', '--journal', directory];
    const server = await startServer(t, 'journal-frozen', flags);
    const relay = await startRelay(t, server.mediaPort, Infinity);
    const alice = await (await visit(t, server, relay, 'alice')).join('kitchen');
    const bob = await new AppPage(await newVisitor(t, browser, server, 'bob')).join('kitchen');
    await bob.meets('alice');
    await alice.meets('bob');
    await sleep(SETTLE_MS);
    const cutAt = Date.now();
    relay.isCut = true;
    await sleep(CUT_MS);
    relay.isCut = false;
    await sleep(SETTLE_MS);
    for (const page of [alice, bob]) await page.leave();
    await server.stop();

    const file = join(directory, readdirSync(directory).find((name) => name.endsWith('.journal')));
    const [, begun] = /on (\S+ \S+) UTC/.exec((await replay(file)).text);
    const cut = (cutAt - Date.parse(`${begun.replace(' ', 'T')}Z`)) / 1_000;
    const window = ['--from', `${cut - 1}`, '--to', `${cut + CUT_MS / 1_000 + 2}`];
    const steps = {};
    const step = async (name, ...args) => {
      const { status, text } = await replay(...args, file);
      assert.equal(status, 0, text);
      t.diagnostic(`${args.join(' ')}\n${text}`);
      steps[name] = text;
    };
    await step('stands');
    await step('bob', '--story', '--room', 'kitchen', '--participant', 'bob', ...window);
    await step('alice', '--story', '--room', 'kitchen', '--participant', 'alice', ...window);
    await step('state', '--until', `${cut + CUT_MS / 1_000 - 1}`, '--room', 'kitchen');
    await step('packets', '--pcap', join(directory, 'call.pcap'), '--room', 'kitchen', ...window);

    assert.match(steps.stands, /it ends where the server stopped/);
    assert.match(steps.stands, /verified: all \d+ comparisons agree, nothing differs/);
    assert.match(steps.bob, new RegExp([
      /bob, playing "([^"]*)": the picture stands still: nothing comes from the publisher\n/,
      /bob, playing "\1": the picture moves again, after 3\.\d s\n/,
    ].map((line) => line.source).join('(?:.*\\n)*.*')));
    assert.match(steps.alice, /alice's stream "[^"]*": the picture stands still: nothing of it comes/);
    assert.match(steps.alice, /alice's stream "[^"]*": the picture moves again, after 3\.\d s/);
    assert.match(steps.alice, /[1-9]\d* packets asked for again \(NACK\)/);
    const room = JSON.parse(steps.state.slice(steps.state.indexOf('{'), steps.state.lastIndexOf('}') + 1));
    const stream = room.publications.find(({ name }) => name.includes('alice'));
    assert.ok(stream.audio_age.secs >= 1 && stream.video_age.secs >= 1, JSON.stringify(stream));
    const [player] = stream.players;
    assert.equal(player.identity, 'bob');
    assert.ok(player.live && !player.waits_for_keyframe, JSON.stringify(player));
    assert.ok(player.consent_age.secs < 7, JSON.stringify(player));
    assert.ok(statSync(join(directory, 'call.pcap')).size > 10_000);
  });
});
