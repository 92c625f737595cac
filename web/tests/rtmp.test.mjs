// RTMP: ffmpeg, rtmpdump and a room client of the Flash era in rooms with Chromium.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { decode, encode, fileNames, frequency, probe, run, skew } from './support/ffmpeg.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom, RoomPage } from './support/pages.mjs';
import { AppPage, newVisitor } from './support/parlor-app.mjs';
import { eventually, sleep } from './support/participant.mjs';
import { startServer } from './support/server.mjs';

const BLUE = { colour: 'rgb(30, 60, 200)', tone: 440 };
const RED = { colour: 'rgb(200, 40, 30)', tone: 700 };
const MINUTE = 62;

describe('RTMP', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([startServer(suite, 'rtmp'), startChromium(suite)]);
  });

  const inRoom = async (t, name, room) =>
    new AppPage(await newVisitor(t, browser, server, name)).join(room);
  const frames = async (page, name) =>
    (await page.participant.perceive(page.tile(name)))?.inbound?.video?.frames ?? 0;

  test('the start page shows where to publish to', async (t) => {
    const { page } = await newVisitor(t, browser, server, 'visitor');
    await page.goto(`${server.http}/`);
    await page.fill('#room', 'my room');
    const address = page.locator('#rtmpAddress');
    await address.waitFor();
    assert.equal(await address.inputValue(), `rtmp://localhost:${server.rtmpPort}/my%20room/NAME`);
  });

  test('encoders are seen and heard, beyond 4 h 39 m, by rtmp and rtmps', async (t) => {
    const room = newRoom();
    const anna = await inRoom(t, 'anna', room);
    const since = Date.now();
    // Times pass 0xffffff ms after 7.2 s.
    const output = ['-output_ts_offset', '16770'];
    const blue = encode(t, `${server.rtmp}/${room}/blue?key=1`, { ...BLUE, rate: 44_100, output });
    const red = encode(t, `${server.rtmps}/${room}/red`, RED);
    const detail = { detail: () => `${blue.said()}\n${red.said()}` };
    await anna.participant.isIdentified(anna.tile('blue'), BLUE, detail);
    await anna.participant.isIdentified(anna.tile('red'), RED, detail);
    await anna.participant.screenshot('tiles of encoders');
    await sleep(Math.max(0, 11_000 - (Date.now() - since)));
    const earlier = await frames(anna, 'blue');
    await eventually('the picture goes on', async () => (await frames(anna, 'blue')) > earlier + 20);
    await anna.participant.isIdentified(anna.tile('blue'), BLUE, detail);
    blue.child.kill('SIGINT');
    red.child.kill('SIGINT');
    await anna.has('.tile', 1);
    anna.isUnharmed();
  });

  test('an encoder with B-frames is told what to do, and so is the room, once', async (t) => {
    const room = newRoom();
    const anna = await inRoom(t, 'anna', room);
    const video = ['-tune', 'film', '-bf', '3'];
    // As OBS, which shows nothing of it, and tries again.
    for (let i = 0; i < 2; i++) {
      const url = `${server.rtmp}/${room}/camera`;
      const { code, said } = await encode(t, url, { ...BLUE, video }).end();
      assert.notEqual(code, 0);
      assert.match(said, /B-frames are not supported in this room; set max B-frames to 0/);
    }
    await anna.has('.tile', 1);
    const lines = (await anna.lines()).filter(({ name }) => name === 'camera');
    assert.equal(lines.length, 1, JSON.stringify(lines));
    assert.match(lines[0].text, /B-frames are not supported .*\(OBS: Settings > Output/);
    anna.isUnharmed();
  });

  test('an encoder that hangs loses its name to the one that comes again', async (t) => {
    const room = newRoom();
    const anna = await inRoom(t, 'anna', room);
    const url = `${server.rtmp}/${room}/camera`;
    const first = encode(t, url, BLUE);
    await anna.participant.isIdentified(anna.tile('camera'), BLUE);
    first.child.kill('SIGSTOP');
    await sleep(2_500);
    const second = encode(t, url, RED);
    await anna.participant.isIdentified(anna.tile('camera'), RED, { detail: second.said });
    await anna.has('.tile', 2);
    const third = await encode(t, url, BLUE).end();
    assert.match(third.said, /Another encoder publishes as "camera" in this room/);
    anna.isUnharmed();
  });

  test('a browser is played by ffmpeg and rtmpdump for a minute', async (t) => {
    const room = newRoom();
    const [played, dumped] = fileNames(t, ['ffmpeg.flv', 'rtmpdump.flv']);
    const anna = await newParticipant(t, browser, server, 'anna', RED);
    await new RoomPage(anna).join(room);
    const url = `${server.rtmp}/${room}/anna`;
    const player = run(t, 'ffmpeg', ['-v', 'error', '-i', url, '-t', MINUTE, '-c', 'copy', played].map(String));
    const dump = run(t, 'rtmpdump', ['-q', '-r', url, '-B', '8', '-o', dumped]);
    const { code, said } = await player.end();
    assert.equal(code, 0, said);
    dump.child.kill('SIGINT');
    await dump.end();

    for (const [file, seconds] of [[played, MINUTE - 3], [dumped, 5]]) {
      const streams = await probe(t, file);
      assert.deepEqual(streams.map((each) => each.codec_name).sort(), ['aac', 'h264'], file);
      const [audio, video] = ['audio', 'video'].map(
        (kind) => streams.find((each) => each.codec_type === kind).times,
      );
      const gap = Math.abs(audio[0] - video[0]);
      assert.ok(gap < 0.1, `${file}: sound and picture begin ${gap} s apart`);
      console.log(`${gap.toFixed(3)} s apart at the start`);
      assert.ok(video.at(-1) - video[0] > seconds, `${file} has ${video.at(-1) - video[0]} s`);
      const heard = frequency((await decode(t, file)).subarray(8_000));
      assert.ok(Math.abs(heard - RED.tone) < 10, `${file}: ${heard} Hz`);
    }
    // At first they stand together as they come, and then by what the browser says of its clocks:
    // only over a long time that says how they move apart.
    const apart = await skew(t, played);
    console.log(`${apart.toFixed(3)} s of skew`);
    assert.ok(apart < 0.04, `sound and picture move ${apart} s apart`);
    anna.isUnharmed();
  });
});
