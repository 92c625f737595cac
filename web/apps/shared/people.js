// The others: a tile for each participant, and one more for each screen they share.
import { ROOM_EVENT, STREAM_EVENT, STREAM_EVENT_TYPE, STREAM_STATUS } from '../../sdk/index.js';
import { Tile } from './tile.js';

/**
 * @typedef {import('../../sdk/index.js').Participant} Participant
 * @typedef {import('../../sdk/index.js').StreamHandle} StreamHandle
 * @typedef {import('../../sdk/index.js').Playback} Playback
 *
 * @typedef {object} PeopleHandlers
 * @property {() => void} onSilenced the browser plays no sound until the page is touched
 * @property {() => void} onChange someone came or went
 */

/** How often the numbers of the streams are looked at. */
const STATS_MS = 2_000;

export class People {
  /** @type {Map<string, Tile>} by login */
  #tiles = new Map();
  /** @type {Map<StreamHandle, {tile: Tile, playback: Playback}>} */
  #playing = new Map();
  #room;
  #stage;
  #handlers;
  #speaker;
  #timer;

  /**
   * @param {import('../../sdk/index.js').Room} room
   * @param {import('./stage.js').Stage} stage
   * @param {string} speaker device id, or empty
   * @param {PeopleHandlers} handlers
   */
  constructor(room, stage, speaker, handlers) {
    this.#room = room;
    this.#stage = stage;
    this.#speaker = speaker;
    this.#handlers = handlers;
    room
      .on(ROOM_EVENT.JOINED, (participant) => this.#add(participant))
      .on(ROOM_EVENT.LEFT, (participant) => this.#remove(participant))
      .on(ROOM_EVENT.PUBLISHED, (participant, stream) => this.#play(participant, stream))
      .on(ROOM_EVENT.UNPUBLISHED, (_, stream) => this.#end(stream))
      .on(ROOM_EVENT.SPEAKING, ({ login, speaking }) => {
        this.#tiles.get(login)?.setSpeaking(speaking);
      });
    this.#timer = setInterval(() => this.#look(), STATS_MS);
  }

  /** Shows who was there before us. */
  begin() {
    for (const participant of this.#room.getParticipants()) {
      this.#add(participant);
      participant.getStreams().forEach((stream) => this.#play(participant, stream));
    }
  }

  end() {
    clearInterval(this.#timer);
  }

  /** @param {string} deviceId */
  setSpeaker(deviceId) {
    this.#speaker = deviceId;
    for (const { playback } of this.#playing.values()) {
      playback.setAudioOutputId(deviceId).catch(() => {});
    }
  }

  /** The page was touched: all may be heard. */
  turnSoundOn() {
    for (const { playback } of this.#playing.values()) playback.unmuteRemoteAudio();
  }

  /** @param {Participant} participant */
  #add(participant) {
    const login = participant.name();
    const known = this.#tiles.get(login);
    if (known) return known;
    const tile = this.#newTile(login, false);
    this.#tiles.set(login, tile);
    tile.setStatus('');
    this.#handlers.onChange();
    return tile;
  }

  /** @param {Participant} participant */
  #remove(participant) {
    const tile = this.#tiles.get(participant.name());
    if (!tile) return;
    this.#tiles.delete(participant.name());
    this.#stage.remove(tile);
    this.#handlers.onChange();
  }

  /**
   * @param {string} login
   * @param {boolean} isScreen
   */
  #newTile(login, isScreen) {
    const tile = new Tile({ login, isScreen, onPin: (pinned) => this.#stage.togglePin(pinned) });
    this.#stage.add(tile);
    return tile;
  }

  /**
   * @param {Participant} participant
   * @param {StreamHandle} stream
   */
  #play(participant, stream) {
    const isScreen = stream.isScreen();
    const tile = isScreen ? this.#newTile(participant.name(), true) : this.#add(participant);
    const playback = stream.play(tile.video);
    this.#playing.set(stream, { tile, playback });
    if (this.#speaker) playback.setAudioOutputId(this.#speaker).catch(() => {});
    const showState = () => {
      tile.setStatus(playback.status());
      if (!playback.live) return;
      tile.setHint('');
      tile.setMuted(playback.getAudioState().muted && !isScreen);
      tile.setVideoOff(playback.getVideoState().muted);
    };
    playback
      .on(STREAM_STATUS.PENDING, showState)
      .on(STREAM_STATUS.PLAYING, showState)
      .on(STREAM_STATUS.RESTARTING, () => tile.setStatus('RECONNECTING'))
      .on(STREAM_STATUS.STOPPED, () => this.#ended(stream))
      .on(STREAM_STATUS.FAILED, () => {
        tile.setStatus(playback.status());
        tile.setHint(reasonOf(playback.getInfo()));
        this.#ended(stream);
      })
      .on(STREAM_EVENT, ({ type }) => {
        if (type === STREAM_EVENT_TYPE.UNMUTE_REQUIRED) this.#handlers.onSilenced();
        showState();
      });
  }

  /** The stream is no longer offered. @param {StreamHandle} stream */
  #end(stream) {
    const entry = this.#playing.get(stream);
    if (!entry) return;
    this.#playing.delete(stream);
    entry.playback.stop();
    if (entry.tile.isScreen) this.#stage.remove(entry.tile);
    else this.#clear(entry.tile);
  }

  /** The playback is over; the stream may still be offered. @param {StreamHandle} stream */
  #ended(stream) {
    const entry = this.#playing.get(stream);
    if (!entry) return;
    const { tile } = entry;
    tile.setVideoOff(true);
    tile.setQuality('good');
  }

  /** @param {Tile} tile */
  #clear(tile) {
    // Another stream of the same participant may be in the tile by now.
    const isUsed = [...this.#playing.values()].some((other) => other.tile === tile);
    if (isUsed) return;
    tile.setStatus('');
    tile.setHint('');
    tile.setVideoOff(true);
    tile.setMuted(false);
    tile.setQuality('good');
    tile.setSpeaking(false);
  }

  async #look() {
    for (const { tile, playback } of this.#playing.values()) {
      if (!playback.live) continue;
      const { quality } = await playback.stats();
      tile.setQuality(quality);
    }
  }
}

/** @param {string} info */
function reasonOf(info) {
  if (/no common codecs/i.test(info)) return 'Waiting for a picture that this browser can show…';
  return info || 'The picture could not be played';
}
