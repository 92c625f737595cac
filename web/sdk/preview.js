// Local media that is open before anything is published. Apps of the published SDK open it by
// `getMediaAccess`, and expect the publication in the same place to send it.
import { open } from './devices.js';
import { showIn } from './display.js';

/** @type {WeakMap<HTMLElement, {media: MediaStream, release: () => void}>} */
const previews = new WeakMap();

/**
 * Opens camera and microphone and shows them in `display`.
 *
 * @param {{audio?: any, video?: any} | null} constraints
 * @param {HTMLElement} display
 */
export async function getMediaAccess(constraints, display) {
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
export function releaseLocalMedia(display) {
  const media = takePreview(display);
  media?.getTracks().forEach((track) => track.stop());
  return media !== undefined;
}

/**
 * What is open in `display`, for whoever takes it over.
 *
 * @param {HTMLElement | null | undefined} display
 */
export function takePreview(display) {
  const preview = display ? previews.get(display) : undefined;
  if (!display || !preview) return undefined;
  previews.delete(display);
  preview.release();
  return preview.media;
}
