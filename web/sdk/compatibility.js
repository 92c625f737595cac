// The part of the published SDK's core that room apps use, so that they run with another import.
import * as constants from './constants.js';
import { list } from './devices.js';
import { getMediaAccess, releaseLocalMedia } from './preview.js';

async function getMediaDevices() {
  const { cameras, microphones, speakers } = await list();
  /** @param {import('./devices.js').Device[]} devices @param {string} type */
  const of = (devices, type) => devices.map((device) => ({ ...device, type }));
  return {
    video: of(cameras, 'camera'),
    audio: [...of(microphones, 'mic'), ...of(speakers, 'speaker')],
  };
}

const agent = globalThis.navigator?.userAgent ?? '';
const isChromium = /Chrom(e|ium)\//.test(agent);

export const compatibility = Object.freeze({
  constants,
  /** Nothing has to be prepared. */
  init: () => {},
  getMediaAccess,
  releaseLocalMedia,
  getMediaDevices,
  getMediaProviders: () => ['WebRTC'],
  playFirstVideo: () => Promise.resolve(),
  playFirstSound: () => Promise.resolve(),
  Browser: Object.freeze({
    isSafariWebRTC: () => /Safari\//.test(agent) && !isChromium,
    isSafari: () => /Safari\//.test(agent) && !isChromium,
    isChromiumEdge: () => /Edg\//.test(agent),
    isChrome: () => isChromium,
    isFirefox: () => /Firefox\//.test(agent),
    isAndroid: () => /Android/.test(agent),
    isiOS: () => /iPhone|iPad|iPod/.test(agent),
  }),
});
