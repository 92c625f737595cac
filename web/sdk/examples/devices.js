// Devices: what there is, mute, camera off and on, another microphone.
import { devices, DeviceError, roomApi } from '../index.js';

export async function run({ log, place, room: name }) {
  const session = await roomApi.connect({ username: 'alice' });
  const room = await session.join({ name });
  const publication = await room.publish({ display: place('alice') });

  const { cameras, microphones } = await devices.list();
  log(`cameras: ${cameras.map(({ label }) => label).join(', ')}`);
  log(`microphones: ${microphones.map(({ label }) => label).join(', ')}`);

  publication.muteAudio();
  log(`muted: ${publication.isAudioMuted()}`);
  publication.unmuteAudio();

  // The light of the camera goes out, and the others see no picture; then it comes back.
  await publication.stopCamera();
  log(`camera off: ${publication.isVideoMuted()}`);
  await publication.startCamera();

  await publication.switchMic(microphones.at(-1).id);
  log(`microphone: ${publication.track('audio').label}`);

  try {
    await publication.startCamera('no such camera');
  } catch (error) {
    if (error instanceof DeviceError) log(`${error.code}: ${error.message}`);
  }
  return () => session.disconnect();
}
