// A screen beside the camera: a second publication of the same participant.
import { roomApi, ROOM_EVENT, STREAM_STATUS } from '../index.js';

export async function run({ log, place, room: name }) {
  const alice = await roomApi.connect({ username: 'alice' });
  const bob = await roomApi.connect({ username: 'bob' });
  const his = await bob.join({ name });
  his.on(ROOM_EVENT.PUBLISHED, (participant, stream) => {
    const what = stream.isScreen() ? 'screen' : 'camera';
    stream.play(place(`the ${what} of ${participant.name()}`));
  });

  const hers = await alice.join({ name });
  const screen = hers.publish({
    name: 'screenShare',
    constraints: { audio: true, video: { type: 'screen' } },
  });
  // The browser has a button of its own that ends the sharing.
  screen.on(STREAM_STATUS.UNPUBLISHED, () => log('the sharing has ended'));
  await screen;
  log(`shared as ${screen.name()}`);

  return () => {
    alice.disconnect();
    bob.disconnect();
  };
}
