// Cameras, microphones, loudspeakers and screens.
import { DeviceError } from './errors.js';

/**
 * @typedef {{id: string, label: string}} Device
 * @typedef {{cameras: Device[], microphones: Device[], speakers: Device[]}} DeviceList
 */

const WORDS = { audio: 'microphone', video: 'camera' };
const DEFAULT_VIDEO = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } };

/** @returns {MediaDevices} */
function mediaDevices() {
  /** @type {MediaDevices | undefined} */
  const devices = globalThis.navigator?.mediaDevices;
  if (devices) return devices;
  const code = globalThis.isSecureContext ? 'UNSUPPORTED' : 'INSECURE';
  throw new DeviceError(code, 'camera and microphone');
}

/**
 * Lists the devices. Until the page was allowed to use one, browsers tell neither their number nor
 * their names.
 *
 * @returns {Promise<DeviceList>}
 */
export async function list() {
  const found = await mediaDevices().enumerateDevices();
  /** @param {string} kind @param {string} word */
  const of = (kind, word) =>
    found
      .filter((device) => device.kind === kind && device.deviceId)
      .map((device, i) => ({ id: device.deviceId, label: device.label || `${word} ${i + 1}` }));
  return {
    cameras: of('videoinput', 'Camera'),
    microphones: of('audioinput', 'Microphone'),
    speakers: of('audiooutput', 'Loudspeaker'),
  };
}

/**
 * Calls `listener` whenever a device comes or goes.
 *
 * @param {() => void} listener
 * @param {{signal?: AbortSignal}} [options]
 */
export function onChange(listener, options) {
  navigator.mediaDevices?.addEventListener?.('devicechange', listener, options);
}

/**
 * Opens a camera, a microphone or both. A string as `deviceId` means that device and no other.
 *
 * @param {{audio?: any, video?: any}} constraints
 * @returns {Promise<MediaStream>}
 */
export async function open(constraints) {
  const audio = normalize(constraints.audio);
  const video = normalize(constraints.video, DEFAULT_VIDEO);
  const what = [video && WORDS.video, audio && WORDS.audio].filter(Boolean).join(' and ');
  const devices = mediaDevices();
  try {
    return await devices.getUserMedia({ audio, video });
  } catch (error) {
    throw DeviceError.from(error, what || 'camera and microphone');
  }
}

/**
 * Opens what there is: both when possible, else one of the two, else none. Never throws.
 *
 * @param {{audio?: any, video?: any}} constraints
 * @returns {Promise<{media: MediaStream, errors: {audio?: DeviceError, video?: DeviceError}}>}
 */
export async function openAvailable(constraints) {
  const media = new MediaStream();
  /** @type {{audio?: DeviceError, video?: DeviceError}} */
  const errors = {};
  const asked = /** @type {const} */ (['audio', 'video']).filter((kind) => constraints[kind]);
  if (asked.length === 0) return { media, errors };
  try {
    return { media: await open(constraints), errors };
  } catch {
    // One of the two may be there.
  }
  for (const kind of asked) {
    try {
      const one = await open({ [kind]: constraints[kind] });
      one.getTracks().forEach((track) => media.addTrack(track));
    } catch (error) {
      errors[kind] = DeviceError.from(error, WORDS[kind]);
    }
  }
  return { media, errors };
}

/** Whether this browser can share a screen. Phones cannot. */
export function canShareScreen() {
  return typeof globalThis.navigator?.mediaDevices?.getDisplayMedia === 'function';
}

/**
 * Asks for a screen, a window or a tab, with its sound where the browser has it.
 *
 * @param {{audio?: any, video?: any}} [constraints]
 * @returns {Promise<MediaStream>}
 */
export async function openScreen({ audio = true, video } = {}) {
  mediaDevices();
  if (!canShareScreen()) throw new DeviceError('UNSUPPORTED', 'screen');
  const { type, withoutExtension, mediaSource, ...wanted } = typeof video === 'object' ? video : {};
  const picture = { frameRate: { ideal: 15, max: 30 }, ...wanted };
  try {
    return await navigator.mediaDevices.getDisplayMedia({ video: picture, audio: audio !== false });
  } catch (error) {
    throw DeviceError.from(error, 'screen');
  }
}

/**
 * The id of the device after the one that `track` comes from.
 *
 * @param {MediaDeviceKind} kind
 * @param {MediaStreamTrack | null} track
 */
export async function nextDevice(kind, track) {
  const { cameras, microphones } = await list();
  const devices = kind === 'videoinput' ? cameras : microphones;
  const what = kind === 'videoinput' ? WORDS.video : WORDS.audio;
  if (devices.length < 2) throw new DeviceError('NOT_FOUND', `second ${what}`);
  const at = devices.findIndex(({ id }) => id === track?.getSettings().deviceId);
  return devices[(at + 1) % devices.length].id;
}

/**
 * @param {any} asked
 * @param {MediaTrackConstraints} [defaults]
 */
function normalize(asked, defaults = {}) {
  if (!asked) return false;
  if (asked === true) return Object.keys(defaults).length > 0 ? defaults : true;
  const { deviceId, ...rest } = asked;
  const wanted = { ...defaults, ...rest };
  if (!deviceId) return wanted;
  return { ...wanted, deviceId: typeof deviceId === 'string' ? { exact: deviceId } : deviceId };
}
