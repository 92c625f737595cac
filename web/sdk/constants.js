// The words of the Room API. Values equal their keys unless the protocol says otherwise.

/** What a session can be. `RECONNECTING` and `RECONNECTED` are Parlor's own. */
export const SESSION_STATUS = Object.freeze({
  PENDING: 'PENDING',
  CONNECTED: 'CONNECTED',
  ESTABLISHED: 'ESTABLISHED',
  RECONNECTING: 'RECONNECTING',
  RECONNECTED: 'RECONNECTED',
  DISCONNECTED: 'DISCONNECTED',
  FAILED: 'FAILED',
  WARN: 'WARN',
});

/** What a stream can be. `RESTARTING` (an event, never a status) is Parlor's own. */
export const STREAM_STATUS = Object.freeze({
  NEW: 'NEW',
  PENDING: 'PENDING',
  PUBLISHING: 'PUBLISHING',
  PLAYING: 'PLAYING',
  PAUSED: 'PAUSED',
  UNPUBLISHED: 'UNPUBLISHED',
  STOPPED: 'STOPPED',
  FAILED: 'FAILED',
  RESTARTING: 'RESTARTING',
});

/** What happens in a room. From `UNPUBLISHED` on they are Parlor's own. */
export const ROOM_EVENT = Object.freeze({
  STATE: 'STATE',
  JOINED: 'JOINED',
  LEFT: 'LEFT',
  PUBLISHED: 'PUBLISHED',
  MESSAGE: 'MESSAGE',
  FAILED: 'FAILED',
  UNPUBLISHED: 'UNPUBLISHED',
  HISTORY: 'HISTORY',
  SPEAKING: 'SPEAKING',
  REJOINED: 'REJOINED',
});

/** The event under which a stream's own events come. */
export const STREAM_EVENT = 'STREAM_EVENT';

/** What a stream's own event can be. From `UNMUTE_REQUIRED` on they are Parlor's own. */
export const STREAM_EVENT_TYPE = Object.freeze({
  AUDIO_MUTED: 'audioMuted',
  AUDIO_UNMUTED: 'audioUnmuted',
  VIDEO_MUTED: 'videoMuted',
  VIDEO_UNMUTED: 'videoUnmuted',
  DATA: 'data',
  SNAPSHOT_COMPLETED: 'snapshotCompleted',
  SNAPSHOT_FAILED: 'snapshotFailed',
  RESIZE: 'resize',
  NOT_ENOUGH_BANDWIDTH: 'notEnoughBandwidth',
  UNMUTE_REQUIRED: 'unmuteRequired',
  CODEC_MISMATCH: 'codecMismatch',
  DEVICE_LOST: 'deviceLost',
});

/** How well a stream comes through. */
export const QUALITY = Object.freeze({ GOOD: 'good', FAIR: 'fair', POOR: 'poor' });

/** Kinds of devices, by the names of the published SDK. */
export const MEDIA_DEVICE_KIND = Object.freeze({ OUTPUT: 'output', INPUT: 'input', ALL: 'all' });
