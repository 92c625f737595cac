// A call of two, both on this page: connect, join, publish, play.
import { roomApi, ROOM_EVENT } from '../index.js';

export async function run({ log, place, room: name }) {
  // One who is seen: everyone in the room gets the picture of this camera.
  const alice = await roomApi.connect({ username: 'alice' });
  const hers = await alice.join({ name });
  await hers.publish({ display: place('alice, her own picture') });
  log('alice is on the air');

  // One who looks: plays whatever is there, and whatever comes.
  const bob = await roomApi.connect({ username: 'bob' });
  const his = await bob.join({ name });
  const play = (participant, stream) => stream.play(place(`${participant.name()}, seen by bob`));
  his.on(ROOM_EVENT.PUBLISHED, play);
  for (const participant of his.getParticipants()) {
    for (const stream of participant.getStreams()) {
      const playback = await play(participant, stream);
      log(`bob: ${playback.name()} is ${playback.status()}`);
    }
  }

  return () => {
    alice.disconnect();
    bob.disconnect();
  };
}
