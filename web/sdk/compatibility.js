// The part of the published SDK's core that room apps use, so that they run with another import.
import * as constants from './constants.js';
import { list, open } from './devices.js';
import { showIn } from './display.js';

/** @type {WeakMap<HTMLElement, {media: MediaStream, release: () => void}>} */
const previews = new WeakMap();

/**
 * Opens camera and microphone and shows them in `display`.
 *
 * @param {{audio?: any, video?: any} | null} constraints
 * @param {HTMLElement} display
 */
async function getMediaAccess(constraints, display) {
  releaseLocalMedia(display);
  const media = await open(constraints ?? { audio: true, video: true });
  const { video, show, release } = showIn(display);
  video.muted = true;
  show(media);
  previews.set(display, { media, release });
  return display;
}

/**
 * Closes what `getMediaAccess` has opened; tells whether there was anything.
 *
 * @param {HTMLElement} display
 */
function releaseLocalMedia(display) {
  const preview = previews.get(display);
  preview?.media.getTracks().forEach((track) => track.stop());
  preview?.release();
  return previews.delete(display);
}

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
