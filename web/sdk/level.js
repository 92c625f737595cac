// How loud a microphone is, for a meter on the page.

const PERIOD_MS = 80;
/** What the meter shows as nothing, in decibels of full scale; 0 dB is everything. */
const FLOOR_DB = -60;

/**
 * Calls `listener` with the level of `media`, from 0 to 1, several times a second.
 *
 * @param {MediaStream} media
 * @param {(level: number) => void} listener
 * @returns {() => void} stops it
 */
export function meterLevel(media, listener) {
  if (media.getAudioTracks().length === 0 || typeof AudioContext === 'undefined') return () => {};
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  const source = context.createMediaStreamSource(new MediaStream(media.getAudioTracks()));
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    // Browsers hold the context until the page is touched.
    if (context.state === 'suspended') context.resume().catch(() => {});
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    const decibels = 10 * Math.log10(power + 1e-12);
    listener(Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB)));
  }, PERIOD_MS);
  return () => {
    clearInterval(timer);
    source.disconnect();
    context.close().catch(() => {});
  };
}
