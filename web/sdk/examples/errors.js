// Errors: each has a code for programs and a sentence for people.
import { ConnectionError, roomApi, RoomError, SESSION_STATUS } from '../index.js';

export async function run({ log, room: name }) {
  try {
    await roomApi.connect({ urlServer: 'ws://localhost:9/', username: 'alice' });
  } catch (error) {
    if (error instanceof ConnectionError) log(`${error.code}: ${error.message}`);
  }

  const alice = await roomApi.connect({ username: 'alice' });
  await alice.join({ name });
  const twin = await roomApi.connect({ username: 'alice' });
  try {
    await twin.join({ name });
  } catch (error) {
    if (error instanceof RoomError) log(`${error.code}: ${error.message}`);
  }

  // Give up what takes too long.
  try {
    await twin.join({ name, signal: AbortSignal.abort() });
  } catch (error) {
    log(`given up: ${error.name}`);
  }

  // A connection that is lost comes back by itself; the app is told.
  alice
    .on(SESSION_STATUS.RECONNECTING, () => log('alice is reconnecting'))
    .on(SESSION_STATUS.RECONNECTED, () => log('alice is back'))
    .on(SESSION_STATUS.DISCONNECTED, () => log('alice has gone'));
  return () => {
    alice.disconnect();
    twin.disconnect();
  };
}
