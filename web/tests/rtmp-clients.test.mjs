// RTMP beyond encoders: room clients of the Flash era, screens, and players without the codec.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startChromium } from './support/chromium.mjs';
import {
  colourOf, decode, encode, encodeVp8, fileNames, frequency, probe, run,
} from './support/ffmpeg.mjs';
import { newFirefoxParticipant, startFirefox } from './support/firefox.mjs';
import { FlashClient, RtmpClient } from './support/flash.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import { AppPage, newVisitor } from './support/parlor-app.mjs';
import { eventually } from './support/participant.mjs';
import { startServer } from './support/server.mjs';

const BLUE = { colour: 'rgb(30, 60, 200)', tone: 440 };
const RED = { colour: 'rgb(200, 40, 30)', tone: 700 };
/** As Flash Player has it. */
const SPEEX = ['-c:a', 'libspeex', '-ar', '16000', '-ac', '1'];
const COLOUR_TOLERANCE = 40;
const TONE_TOLERANCE_HZ = 10;

/** Asserts that a file has the picture and the sound of `identity`, without a fault. */
async function hasIdentity(t, file, { colour, tone }) {
  const streams = await probe(t, file);
  assert.deepEqual(streams.map((each) => each.codec_name).sort(), ['aac', 'h264']);
  const wanted = colour.match(/\d+/g).map(Number);
  const seen = await colourOf(t, file);
  const isIt = wanted.every((value, i) => Math.abs(value - seen[i]) < COLOUR_TOLERANCE);
  assert.ok(isIt, `${seen} is not ${colour}`);
  const heard = frequency((await decode(t, file)).subarray(8_000));
  assert.ok(Math.abs(heard - tone) < TONE_TOLERANCE_HZ, `${heard} Hz is not ${tone} Hz`);
}

/** Plays for some seconds into a file. */
const keep = (t, url, seconds, file) =>
  run(t, 'ffmpeg', ['-v', 'error', '-i', url, '-t', String(seconds), '-c', 'copy', file]).end();

/** Runs in a page: lets it publish in VP8 alone, so many times; then in what it likes. */
function publishesVp8(times) {
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (what, init) {
    const transceiver = add.call(this, what, init);
    if ((what.kind ?? what) === 'video' && init?.direction === 'sendonly' && times-- > 0) {
      const { codecs } = RTCRtpSender.getCapabilities('video');
      transceiver.setCodecPreferences(codecs.filter((each) => each.mimeType === 'video/VP8'));
    }
    return transceiver;
  };
}

describe('RTMP clients', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([
      startServer(suite, 'rtmp clients'),
      startChromium(suite),
    ]);
  });

  const inRoom = async (t, name, room, identity) =>
    new AppPage(await newVisitor(t, browser, server, name, { identity })).join(room);
  const seconds = (tags, kind) => {
    const times = tags.filter((tag) => tag.kind === kind).map(({ time }) => time);
    return times.length ? (times.at(-1) - times[0]) / 1_000 : 0;
  };

  test('a room client of the Flash era chats with a browser', async (t) => {
    const room = newRoom();
    const anna = await inRoom(t, 'anna', room);
    const flash = await FlashClient.connect(t, server.rtmpPort, 'flash');
    await flash.join(room);
    flash.sendData('2', 'sendMessage', { roomConfig: { name: room }, text: 'hello from flash' });
    await anna.readsInChat('flash', 'hello from flash');
    await anna.say('hello from Chromium');
    await flash.event('MESSAGE', ({ text }) => text === 'hello from Chromium');
    flash.sendData('3', 'leave', { name: room });
    await anna.has('.tile', 1);
    anna.isUnharmed();
  });

  test('a room client of the Flash era is seen and heard, and sees and hears', async (t) => {
    const room = newRoom();
    const [file] = fileNames(t, ['anna.flv']);
    const anna = await inRoom(t, 'anna', room, RED);
    const flash = await FlashClient.connect(t, server.rtmpPort, 'flash');
    const [{ login, name }] = await flash.join(room);
    assert.equal(login, 'anna');
    const published = await flash.publish(`${room}-flash`, () =>
      encode(t, 'pipe:1', { ...BLUE, output: SPEEX }));
    const played = flash.play(name);
    await anna.participant.isIdentified(anna.tile('flash'), BLUE);
    await eventually('some seconds have come', () => seconds(flash.tags(played), 9) > 4);
    flash.keep(played, file);
    await hasIdentity(t, file, RED);
    // Of several who publish, each is played by its own name.
    const bob = await inRoom(t, 'bob', room);
    await flash.event('PUBLISHED', (info) => info.login === 'bob');
    await bob.participant.isIdentified(bob.tile('flash'), BLUE);
    flash.call(published, 'closeStream', 0, null);
    await flash.isTold('NetStream.Unpublish.Success');
    await anna.has(`${anna.tile('flash')}.tile-dark`);
    flash.sendData('leave', 'leave', { name: room });
    await anna.has('.tile', 2);
    anna.isUnharmed();
    bob.isUnharmed();
  });

  test('a screen is played by the name of its stream, the camera by that of who has it', async (t) => {
    const room = newRoom();
    const files = fileNames(t, ['screen.flv', 'camera.flv']);
    const anna = await inRoom(t, 'anna', room, RED);
    const flash = await FlashClient.connect(t, server.rtmpPort, 'flash');
    await flash.join(room);
    await anna.participant.click('#shareBtn');
    const { info } = await flash.event('PUBLISHED', ({ name }) => name.endsWith('-screenShare'));
    const url = `${server.rtmp}/${room}`;
    const played = [keep(t, `${url}/${info.name}`, 4, files[0]), keep(t, `${url}/anna`, 4, files[1])];
    for (const { code, said } of await Promise.all(played)) assert.equal(code, 0, said);
    const [screen] = (await probe(t, files[0])).filter((each) => each.codec_type === 'video');
    assert.equal(screen.codec_name, 'h264');
    assert.ok(screen.times.length > 4, `${screen.times.length} pictures of the screen`);
    const shared = await anna.participant.evaluate(() => {
      const { width, height } = document.querySelector('.tile-screen video').srcObject
        .getVideoTracks()[0].getSettings();
      return { width, height };
    });
    assert.deepEqual({ width: screen.width, height: screen.height }, shared);
    await hasIdentity(t, files[1], RED);
    anna.isUnharmed();
  });

  const player = (t, room, codecs) =>
    RtmpClient.connect(t, server.rtmpPort, {
      app: room, tcUrl: `${server.rtmp}/${room}`, ...(codecs && { fourCcList: codecs }),
    });
  /** What a tag begins with: that it is one of Enhanced RTMP, and the codec. */
  const codecs = (tags, kind) => {
    const isEnhanced = ({ body }) => (kind === 9 ? body[0] >> 7 === 1 : body[0] >> 4 === 9);
    const named = tags.filter((tag) => tag.kind === kind).map((tag) =>
      isEnhanced(tag) ? tag.body.subarray(1, 5).toString() : 'legacy');
    return [...new Set(named)];
  };

  test('Firefox, which has VP8 alone, is heard by who needs H.264, and seen by who takes VP8', async (t) => {
    const room = newRoom();
    const [file] = fileNames(t, ['fay.flv']);
    const firefox = await startFirefox(t);
    const fay = new AppPage(await newFirefoxParticipant(t, firefox, server, 'fay'));
    await fay.join(room);
    const plain = await player(t, room);
    const heard = plain.play('fay');
    const told = await plain.isTold('NetStream.Play.InsufficientCodec');
    assert.equal(told, 'The picture of "fay" is VP8, your player needs H.264: you only hear it');
    const enhanced = await player(t, room, ['vp08', 'Opus']);
    const seen = enhanced.play('fay');
    await eventually('some seconds are seen', () => seconds(enhanced.tags(seen), 9) > 4);
    assert.deepEqual(codecs(enhanced.tags(seen), 9), ['vp08']);
    assert.deepEqual(codecs(enhanced.tags(seen), 8), ['Opus']);
    // The sound goes on: fay does not begin anew for what it cannot send.
    await eventually('some seconds are heard', () => seconds(plain.tags(heard), 8) > 4);
    plain.keep(heard, file);
    assert.deepEqual((await probe(t, file)).map((each) => each.codec_name), ['aac']);
    await decode(t, file);
    assert.equal(plain.heard.some(([, object]) => /Stop|Unpublish/.test(object?.code)), false);
  });

  test('our page publishes in H.264 anew for a player that needs it', async (t) => {
    const room = newRoom();
    const participant = await newVisitor(t, browser, server, 'anna', { identity: RED });
    await participant.page.addInitScript(publishesVp8, 1);
    const anna = await new AppPage(participant).join(room);
    const [first, file] = fileNames(t, ['first.flv', 'second.flv']);
    assert.equal((await participant.sent())[0].video.codec, 'video/VP8');
    const url = `${server.rtmp}/${room}/anna`;
    await keep(t, url, 2, first);
    await anna.isOnTheAir();
    await eventually('anna publishes in H.264', async () =>
      (await participant.sent()).some((each) => each.video?.codec === 'video/H264'));
    const { code, said } = await keep(t, url, 4, file);
    assert.equal(code, 0, said);
    await hasIdentity(t, file, RED);
    anna.isUnharmed();
  });

  test('VP8 of an encoder is seen in a browser; who needs H.264 is refused where there is no sound', async (t) => {
    const room = newRoom();
    const anna = await inRoom(t, 'anna', room);
    const camera = await player(t, room);
    await camera.publishVp8('camera', () => encodeVp8(t, BLUE));
    await eventually('anna sees the camera', async () => {
      const now = await anna.participant.perceive(anna.tile('camera'));
      const wanted = BLUE.colour.match(/\d+/g).map(Number);
      return wanted.every((value, i) => Math.abs(value - now?.picture?.mean[i]) < COLOUR_TOLERANCE);
    }, { detail: () => JSON.stringify(camera.heard) });
    const { inbound } = await anna.participant.perceive(anna.tile('camera'));
    assert.equal(inbound.video.codec, 'video/VP8');
    const [file] = fileNames(t, ['camera.flv']);
    const { code, said } = await keep(t, `${server.rtmp}/${room}/camera`, 4, file);
    assert.notEqual(code, 0);
    assert.match(said, /"camera" has no sound, and its picture is VP8: your player needs H.264/);
    anna.isUnharmed();
  });

  test('an encoder whose sound nobody here would hear is told so', async (t) => {
    const url = `${server.rtmp}/${newRoom()}/anna`;
    const output = ['-c:a', 'libmp3lame', '-ar', '44100'];
    const { code, said } = await encode(t, url, { ...BLUE, output }).end();
    assert.notEqual(code, 0);
    assert.match(said, /The sound is MP3, which is not decoded here; use AAC/);
  });

  test('an encoder that stalls is dropped after 15 s, and its tile goes', async (t) => {
    const room = newRoom();
    const anna = await inRoom(t, 'anna', room);
    const camera = encode(t, `${server.rtmp}/${room}/camera`, BLUE);
    await anna.participant.isIdentified(anna.tile('camera'), BLUE);
    camera.child.kill('SIGSTOP');
    const since = Date.now();
    await anna.has('.tile', 1, { within: 25_000 });
    const took = (Date.now() - since) / 1_000;
    assert.ok(took > 14 && took < 20, `it took ${took} s`);
    assert.equal((await server.metrics()).rtmp_silent_total, 1);
    anna.isUnharmed();
  });
});
