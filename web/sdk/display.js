// Where a stream is shown: the app's own video element, or a new one inside of what it gives.

/**
 * @param {HTMLElement} place
 * @returns {{video: HTMLVideoElement, isOurs: boolean, release: () => void}}
 */
export function showIn(place) {
  const isVideo = place instanceof HTMLVideoElement;
  const video = isVideo ? place : document.createElement('video');
  video.autoplay = true;
  video.playsInline = true;
  if (!isVideo) place.append(video);
  return {
    video,
    isOurs: !isVideo,
    release: () => {
      video.srcObject = null;
      if (!isVideo) video.remove();
    },
  };
}
