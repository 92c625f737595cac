// What comes through, in numbers, and how good that is.
import { QUALITY } from './constants.js';

/**
 * @typedef {object} MediaStats
 * @property {string} codec
 * @property {number} bitrate bits per second since the last reading
 * @property {number} clockRate of the codec, in hertz
 * @property {number} bytes
 * @property {number} packets
 * @property {number} packetsLost
 * @property {number} lossPercent since the last reading
 * @property {number | null} jitterMs
 *
 * @typedef {MediaStats & {level: number | null}} AudioStats
 * @typedef {MediaStats & {width: number, height: number, framesPerSecond: number,
 *   frames: number, keyFrames: number, frozenMs: number, limitedBy: string}} VideoStats
 *
 * @typedef {object} StreamNumbers
 * @property {'publish' | 'play'} direction
 * @property {string} connection `RTCPeerConnection.connectionState`
 * @property {number | null} roundTripMs
 * @property {AudioStats | null} audio
 * @property {VideoStats | null} video
 * @property {string} quality one of `QUALITY`
 *
 * @typedef {StreamNumbers & {id: string, name: string}} StreamStats
 */

/** Readings closer than this give the last numbers again: rates of a moment mean nothing. */
const PERIOD_MS = 400;

/** Reads one stream again and again. */
export class Meter {
  /** @type {RTCPeerConnection | null} */
  #connection = null;
  /** @type {Map<string, any>} */
  #entries = new Map();
  #at = 0;
  /** @type {StreamNumbers | null} */
  #last = null;

  /**
   * @param {RTCPeerConnection | null} connection
   * @param {'publish' | 'play'} direction
   * @returns {Promise<StreamNumbers>}
   */
  async read(connection, direction) {
    const now = Date.now();
    if (connection === this.#connection && this.#last && now - this.#at < PERIOD_MS) {
      return this.#last;
    }
    if (connection !== this.#connection) this.#entries = new Map();
    const before = this.#entries;
    const entries = await entriesOf(connection);
    const type = direction === 'publish' ? 'outbound-rtp' : 'inbound-rtp';
    const all = [...entries.values()];
    const audio = all.find((entry) => entry.type === type && entry.kind === 'audio');
    const video = all.find((entry) => entry.type === type && entry.kind === 'video');
    const pair = all.find(
      (entry) => entry.type === 'candidate-pair' && entry.state === 'succeeded' && entry.nominated,
    );
    const numbers = {
      direction,
      connection: connection?.connectionState ?? 'closed',
      roundTripMs: milliseconds(roundTrip(all, pair)),
      audio: audio ? audioStats(audio, entries, before) : null,
      video: video ? videoStats(video, entries, before) : null,
    };
    const last = { ...numbers, quality: qualityOf(numbers) };
    [this.#connection, this.#entries, this.#at, this.#last] = [connection, entries, now, last];
    return last;
  }

  /**
   * The shape of the published SDK.
   *
   * @param {RTCPeerConnection | null} connection
   * @param {'publish' | 'play'} direction
   */
  async legacy(connection, direction) {
    const { audio, video } = await this.read(connection, direction);
    const stream = {
      audio: audio && { ...audio, codecRate: audio.clockRate },
      video: video && { ...video, codecRate: video.clockRate },
    };
    return direction === 'publish'
      ? { outboundStream: stream, inboundStream: {}, otherStats: {} }
      : { outboundStream: {}, inboundStream: stream, otherStats: {} };
  }
}

/** @param {RTCPeerConnection | null} connection @returns {Promise<Map<string, any>>} */
async function entriesOf(connection) {
  if (!connection || connection.connectionState === 'closed') return new Map();
  /** @type {Map<string, any>} */
  const entries = new Map();
  (await connection.getStats()).forEach((entry) => entries.set(entry.id, entry));
  return entries;
}

/**
 * @param {any} entry
 * @param {Map<string, any>} entries
 * @param {Map<string, any>} before
 * @returns {MediaStats}
 */
function mediaStats(entry, entries, before) {
  const last = before.get(entry.id);
  const bytes = entry.bytesReceived ?? entry.bytesSent ?? 0;
  const lastBytes = last?.bytesReceived ?? last?.bytesSent ?? 0;
  const seconds = last ? (entry.timestamp - last.timestamp) / 1_000 : 0;
  const packets = entry.packetsReceived ?? entry.packetsSent ?? 0;
  // What we send is lost on the way to the server, which reports it.
  const remote = entries.get(entry.remoteId);
  const lost = entry.packetsLost ?? remote?.packetsLost ?? 0;
  const lastLost = last?.packetsLost ?? before.get(last?.remoteId)?.packetsLost ?? 0;
  const lastPackets = last?.packetsReceived ?? last?.packetsSent ?? 0;
  const newLost = last ? Math.max(0, lost - lastLost) : 0;
  const newPackets = packets - lastPackets + (entry.type === 'inbound-rtp' ? newLost : 0);
  const { mimeType = '', clockRate = 0 } = entries.get(entry.codecId) ?? {};
  return {
    codec: mimeType.slice(mimeType.indexOf('/') + 1),
    clockRate,
    bytes,
    bitrate: seconds > 0 ? Math.round(((bytes - lastBytes) * 8) / seconds) : 0,
    packets,
    packetsLost: lost,
    lossPercent: newPackets > 0 ? round((100 * newLost) / newPackets) : 0,
    jitterMs: milliseconds(entry.jitter ?? remote?.jitter),
  };
}

/**
 * @param {any} entry
 * @param {Map<string, any>} entries
 * @param {Map<string, any>} before
 * @returns {AudioStats}
 */
function audioStats(entry, entries, before) {
  const level = entry.audioLevel ?? entries.get(entry.mediaSourceId)?.audioLevel ?? null;
  return { ...mediaStats(entry, entries, before), level };
}

/**
 * @param {any} entry
 * @param {Map<string, any>} entries
 * @param {Map<string, any>} before
 * @returns {VideoStats}
 */
function videoStats(entry, entries, before) {
  const last = before.get(entry.id);
  const frozen = (entry.totalFreezesDuration ?? 0) - (last?.totalFreezesDuration ?? 0);
  return {
    ...mediaStats(entry, entries, before),
    width: entry.frameWidth ?? 0,
    height: entry.frameHeight ?? 0,
    framesPerSecond: round(entry.framesPerSecond ?? 0),
    frames: entry.framesDecoded ?? entry.framesEncoded ?? 0,
    keyFrames: entry.keyFramesDecoded ?? entry.keyFramesEncoded ?? 0,
    frozenMs: last ? Math.round(frozen * 1_000) : 0,
    limitedBy: entry.qualityLimitationReason ?? 'none',
  };
}

/**
 * @param {any[]} entries
 * @param {any} pair
 */
function roundTrip(entries, pair) {
  if (pair?.currentRoundTripTime !== undefined) return pair.currentRoundTripTime;
  return entries.find((entry) => entry.type === 'remote-inbound-rtp')?.roundTripTime;
}

/**
 * Good: nobody notices anything. Fair: one does. Poor: one cannot follow.
 *
 * @param {Omit<StreamNumbers, 'quality'>} numbers
 */
export function qualityOf({ connection, roundTripMs, audio, video }) {
  if (connection !== 'connected' && connection !== 'new' && connection !== 'connecting') {
    return QUALITY.POOR;
  }
  const loss = Math.max(audio?.lossPercent ?? 0, video?.lossPercent ?? 0);
  const jitter = audio?.jitterMs ?? 0;
  const trip = roundTripMs ?? 0;
  const frozen = video?.frozenMs ?? 0;
  if (loss > 8 || trip > 500 || jitter > 100 || frozen > 1_000) return QUALITY.POOR;
  const isShort = video?.limitedBy === 'bandwidth';
  if (loss > 2.5 || trip > 250 || jitter > 40 || frozen > 300 || isShort) return QUALITY.FAIR;
  return QUALITY.GOOD;
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/** @param {number | undefined | null} seconds */
const milliseconds = (seconds) => (seconds === undefined || seconds === null
  ? null
  : round(seconds * 1_000));
