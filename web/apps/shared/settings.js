// What the page knows before anyone joins: from its address, and from the last visit.

/**
 * @typedef {object} Choices
 * @property {string} name
 * @property {string} room
 * @property {string} camera device id, or empty
 * @property {string} microphone device id, or empty
 * @property {string} speaker device id, or empty
 * @property {boolean} cameraOn
 * @property {boolean} microphoneOn
 */

const KEY = 'parlor.choices';
const FIRST = ['amber', 'birch', 'calm', 'cedar', 'coral', 'fern', 'ivory', 'maple', 'olive'];
const SECOND = ['cove', 'garden', 'harbor', 'lantern', 'meadow', 'otter', 'porch', 'river'];

/** @returns {Choices} */
export function loadChoices() {
  /** @type {Partial<Choices>} */
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(KEY) ?? '{}') ?? {};
  } catch {
    // A browser without storage asks again.
  }
  const query = new URLSearchParams(location.search);
  /** @param {unknown} value */
  const text = (value) => (typeof value === 'string' ? value : '');
  return {
    name: text(query.get('name')) || text(stored.name),
    room: text(query.get('room')) || text(query.get('roomName')) || newRoomName(),
    camera: text(stored.camera),
    microphone: text(stored.microphone),
    speaker: text(stored.speaker),
    cameraOn: stored.cameraOn !== false,
    microphoneOn: stored.microphoneOn !== false,
  };
}

/** @param {Choices} choices */
export function saveChoices({ room, ...rest }) {
  try {
    localStorage.setItem(KEY, JSON.stringify(rest));
  } catch {
    // See above.
  }
}

/** The address that leads others into the room. @param {string} room */
export function inviteLink(room) {
  const url = new URL(location.pathname, location.href);
  url.searchParams.set('room', room);
  return url.href;
}

/** Puts the room into the address of the page, so that a reload leads back to it. */
export function rememberRoom(/** @type {string} */ room) {
  const url = new URL(location.href);
  url.searchParams.delete('roomName');
  url.searchParams.set('room', room);
  history.replaceState(null, '', url);
}

export function newRoomName() {
  /** @param {string[]} words */
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(FIRST)}-${pick(SECOND)}-${100 + Math.floor(Math.random() * 900)}`;
}
