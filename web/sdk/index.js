// Parlor's SDK: rooms in which browsers see and hear each other.
//
//   import { roomApi, ROOM_EVENT } from '/sdk/index.js';
//   const session = await roomApi.connect({ username: 'alice' });
//   const room = await session.join({ name: 'kitchen' });
//   room.on(ROOM_EVENT.PUBLISHED, (participant, stream) => stream.play(place));
//   await room.publish({ display: preview });
import * as constants from './constants.js';
import * as devices from './devices.js';
import { compatibility } from './compatibility.js';
import { connect } from './session.js';

export * from './constants.js';
export * from './errors.js';
export { devices };
export { meterLevel } from './level.js';
export { connect, defaultUrl, Session } from './session.js';
export { Room } from './room.js';
export { Participant, StreamHandle } from './participant.js';
export { Publication } from './publication.js';
export { Playback } from './playback.js';
export { warmUp } from './warm-up.js';

/** The Room API under the names of the published SDK. */
export const roomApi = Object.freeze({
  connect,
  events: constants.ROOM_EVENT,
  devices,
  sdk: compatibility,
});

/** The same, under the name of the published SDK's global. */
export { roomApi as RoomApi };
