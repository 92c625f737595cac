// Where a stream is shown: the app's own video element, or a new one inside of what it gives.

/** @typedef {ReturnType<typeof showIn>} Display */

/** @param {HTMLElement} place */
export function showIn(place) {
  const isOurs = !(place instanceof HTMLVideoElement);
  const video = place instanceof HTMLVideoElement ? place : document.createElement('video');
  /** @type {MediaStream | null} */
  let shown = null;
  video.autoplay = true;
  video.playsInline = true;
  if (isOurs) place.append(video);
  return {
    video,
    isOurs,
    /** @param {MediaStream} media */
    show(media) {
      shown = media;
      if (video.srcObject !== media) video.srcObject = media;
    },
    release() {
      // The app may show another stream in its element by now.
      if (video.srcObject === shown) video.srcObject = null;
      if (isOurs) video.remove();
    },
  };
}
