// WHIP and WHEP with nothing but the browser's own fetch and RTCPeerConnection.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startChromium } from './support/chromium.mjs';
import { lifetime } from './support/lifetime.mjs';
import { newRoom } from './support/pages.mjs';
import { AppPage, newVisitor } from './support/parlor-app.mjs';
import { eventually } from './support/participant.mjs';
import { startServer } from './support/server.mjs';

/** Runs in the page: offers, posts, and keeps the connection; gives the status and the address. */
async function exchange({ path, sends }) {
  const connection = new RTCPeerConnection();
  globalThis.connection = connection;
  if (sends) {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of media.getTracks()) {
      connection.addTransceiver(track, { direction: 'sendonly', streams: [media] });
    }
  } else {
    connection.addTransceiver('audio', { direction: 'recvonly' });
    connection.addTransceiver('video', { direction: 'recvonly' });
    const video = document.createElement('video');
    video.autoplay = true;
    connection.ontrack = (event) => {
      video.srcObject = event.streams[0];
      // The one picture of the page: an offer that is refused shows none.
      document.body.append(video);
    };
  }
  await connection.setLocalDescription();
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/sdp', Authorization: 'Bearer anything' },
    body: connection.localDescription.sdp,
  });
  const body = await response.text();
  if (response.status === 201) await connection.setRemoteDescription({ type: 'answer', sdp: body });
  return { status: response.status, location: response.headers.get('Location'), body };
}

describe('WHIP and WHEP', () => {
  const suite = lifetime();
  let browser;
  let server;
  before(async () => {
    [server, browser] = await Promise.all([startServer(suite, 'whip'), startChromium(suite)]);
  });

  /** A page of the server that is none of its apps. */
  const visitor = async (t, name) => {
    const visitor = await newVisitor(t, browser, server, name);
    await visitor.page.goto(`${server.http}/`);
    return visitor;
  };
  const frames = (player) =>
    player.evaluate(() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames);

  test('a fetch publishes into a room, and another plays it, until it is deleted', async (t) => {
    const room = newRoom();
    const anna = await new AppPage(await newVisitor(t, browser, server, 'anna')).join(room);
    const camera = await visitor(t, 'camera');
    const path = `/whip/${room}/camera`;
    const published = await camera.evaluate(exchange, { path, sends: true });
    assert.equal(published.status, 201, published.body);
    await anna.meets('camera');
    await anna.participant.screenshot('a tile of whip');

    const player = await visitor(t, 'player');
    const played = await player.evaluate(exchange, { path: `/whep/${room}/camera`, sends: false });
    assert.equal(played.status, 201, played.body);
    await eventually('the player sees pictures', async () => (await frames(player)) > 10);
    const sound = () => player.evaluate(async () => {
      const stats = [...(await globalThis.connection.getStats()).values()];
      const audio = stats.find((one) => one.type === 'inbound-rtp' && one.kind === 'audio');
      return audio?.totalAudioEnergy ?? 0;
    });
    await eventually('the player hears sound', async () => (await sound()) > 0);

    const second = await visitor(t, 'second');
    const taken = await second.evaluate(exchange, { path, sends: true });
    assert.equal(taken.status, 409);
    assert.match(taken.body, /already in use/);

    const remove = (address) => fetch(address, { method: 'DELETE' }).then((answer) => answer.status);
    assert.equal(await camera.evaluate(remove, published.location), 200);
    await anna.has(anna.tile('camera'), 0);
    // What is over for the publisher is over for the player.
    assert.equal(await player.evaluate(remove, played.location), 404);
    anna.participant.isUnharmed();
  });

  test('a person of a conference is watched from outside, unseen', async (t) => {
    const room = newRoom();
    const anna = await new AppPage(await newVisitor(t, browser, server, 'anna')).join(room);
    const player = await visitor(t, 'player');
    const nobody = await player.evaluate(exchange, { path: `/whep/${room}/bob`, sends: false });
    assert.deepEqual([nobody.status, nobody.body], [404, 'Stream not found.\n']);
    const played = await player.evaluate(exchange, { path: `/whep/${room}/anna`, sends: false });
    assert.equal(played.status, 201, played.body);
    await eventually('the player sees pictures', async () => (await frames(player)) > 10);
    await anna.has('.tile', 1);
    anna.participant.isUnharmed();
    // Without a goodbye it would be missed after 15 s.
    await player.evaluate(() => globalThis.connection.close());
  });
});
