// The other tests trust what they see and hear: here the eyes and ears are tried on calls that a
// page holds with itself, without a server.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { before, describe, test } from 'node:test';
import { newParticipant, startChromium } from './support/chromium.mjs';
import { newFirefoxParticipant, startFirefox } from './support/firefox.mjs';
import { lifetime } from './support/lifetime.mjs';

const file = lifetime();
let page;

before(async () => {
  const listener = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><div id="remote"></div>');
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  file.after(() => (listener.closeAllConnections(), listener.close()));
  page = { port: 0, tlsPort: 0, http: `http://localhost:${listener.address().port}` };
});

/** Two connections of one page send each other what `source` makes; runs in the page. */
async function callOneself(source) {
  const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
  here.onicecandidate = ({ candidate }) => candidate && there.addIceCandidate(candidate);
  there.onicecandidate = ({ candidate }) => candidate && here.addIceCandidate(candidate);
  const video = document.createElement('video');
  video.autoplay = true;
  video.srcObject = new MediaStream();
  there.ontrack = ({ track }) => video.srcObject.addTrack(track);
  document.querySelector('#remote').replaceChildren(video);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  if (source === 'muted') stream.getTracks().forEach((track) => (track.enabled = false));
  stream.getTracks().forEach((track) => here.addTrack(track, stream));
  await here.setLocalDescription(await here.createOffer());
  await there.setRemoteDescription(here.localDescription);
  await there.setLocalDescription(await there.createAnswer());
  await here.setRemoteDescription(there.localDescription);
  video.play();
}

async function talksToItself(participant, source) {
  await participant.page.goto(page.http);
  await participant.evaluate(callOneself, source);
}

describe('in Chromium', () => {
  let browser;
  before(async () => (browser = await startChromium(file)));

  test('a fake camera and microphone are seen and heard', async (t) => {
    const participant = await newParticipant(t, browser, page, 'ann');
    await talksToItself(participant, 'devices');
    const { inbound } = await participant.perceives('#remote');
    assert.equal(inbound.video.codec, 'video/VP8');
    const [sent] = await participant.sent();
    assert.equal(sent.audio.codec, 'audio/opus');
    participant.isUnharmed();
  });

  test('a black picture and a silent stream are not taken for seen and heard', async (t) => {
    const participant = await newParticipant(t, browser, page, 'bob');
    await talksToItself(participant, 'muted');
    const within = 4_000;
    const black = { sound: false, within };
    await assert.rejects(participant.perceives('#remote', black), /not within 4000 ms/);
    const silent = { picture: false, within };
    await assert.rejects(participant.perceives('#remote', silent), /not within 4000 ms/);
    const { inbound } = await participant.perceive('#remote');
    assert.ok(inbound.video.frames > 0, 'black frames do arrive');
  });

  test('a colour and a tone tell who is seen and heard', async (t) => {
    const identity = { colour: 'rgb(200, 30, 30)', tone: 1000 };
    const participant = await newParticipant(t, browser, page, 'eve', identity);
    await talksToItself(participant, 'devices');
    await participant.perceives('#remote');
    await participant.isIdentified('#remote', identity);
    const other = { colour: 'rgb(30, 30, 200)', tone: 1500 };
    const mistaken = participant.isIdentified('#remote', other, { within: 2_000 });
    await assert.rejects(mistaken, /not within/);
  });
});

describe('in Firefox', () => {
  test('a fake camera and microphone are seen and heard', async (t) => {
    const browser = await startFirefox(t);
    const participant = await newFirefoxParticipant(t, browser, page, 'fay');
    await talksToItself(participant, 'devices');
    const { inbound } = await participant.perceives('#remote', { plain: true });
    assert.equal(inbound.video.codec, 'video/VP8');
    participant.isUnharmed();
  });
});
