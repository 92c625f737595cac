// Numbers: what goes out and what comes in, and how good that is.
import { roomApi } from '../index.js';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function run({ log, place, room: name }) {
  const alice = await roomApi.connect({ username: 'alice' });
  const hers = await alice.join({ name });
  await hers.publish({ display: place('alice') });

  const bob = await roomApi.connect({ username: 'bob' });
  const his = await bob.join({ name });
  const [stream] = his.getParticipants()[0].getStreams();
  const playback = await stream.play(place('alice, seen by bob'));

  for (let i = 0; i < 3; i += 1) {
    await wait(1_000);
    const { quality, roundTripMs, audio, video } = await playback.stats();
    const { width, height, framesPerSecond, codec, bitrate, lossPercent } = video;
    log(`${quality}, round trip ${roundTripMs} ms, sound in ${audio.codec}`);
    log(`  ${width}×${height} at ${framesPerSecond} frames/s in ${codec}`);
    log(`  ${Math.round(bitrate / 1_000)} kbit/s, ${lossPercent} % lost`);
  }
  return () => {
    alice.disconnect();
    bob.disconnect();
  };
}
