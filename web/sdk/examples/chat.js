// Chat: to everyone, to one, and what was said before one came.
import { roomApi, ROOM_EVENT } from '../index.js';

export async function run({ log, room: name }) {
  const alice = await roomApi.connect({ username: 'alice' });
  const hers = await alice.join({ name });
  await hers.sendMessage('Is anybody here?');

  const bob = await roomApi.connect({ username: 'bob' });
  // Events come as soon as the server has let bob in, so listen before awaiting.
  const his = bob.join({ name });
  his.on(ROOM_EVENT.HISTORY, (messages) => {
    for (const { name, text, time } of messages) log(`before: ${name}: ${text} (${time})`);
  });
  await his;

  hers.on(ROOM_EVENT.MESSAGE, ({ name, text, all }) => {
    log(`alice reads: ${name} ${all ? 'to all' : 'to me alone'}: ${text}`);
  });
  await his.sendMessage('I am!');
  const [her] = his.getParticipants();
  await her.sendMessage('Just between us.');

  return () => {
    alice.disconnect();
    bob.disconnect();
  };
}
