// Lets a page that is reloaded take its own place in the room again.
//
// The token is written when the page goes and removed when it is read: a duplicated tab, which
// starts with a copy of the storage, finds nothing there and cannot throw out the first one.

const PREFIX = 'parlor.resume:';
/** A page that stays away for longer is another visit. */
const FRESH_MS = 30_000;

/** @param {string[]} parts */
const keyOf = (parts) => PREFIX + JSON.stringify(parts);

/** @returns {Storage | null} */
function storage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * The token that the page's last visit left for this place in the room.
 *
 * @param {string} url
 * @param {string} room
 * @param {string} login
 * @returns {string | undefined}
 */
export function takeToken(url, room, login) {
  const key = keyOf([url, room, login]);
  try {
    const text = storage()?.getItem(key);
    storage()?.removeItem(key);
    const entry = JSON.parse(text ?? 'null');
    const age = Date.now() - entry?.at;
    return age >= 0 && age < FRESH_MS && typeof entry.token === 'string' ? entry.token : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Leaves a token for the next visit of this page.
 *
 * @param {string} url
 * @param {string} room
 * @param {string} login
 * @param {string} token
 */
export function leaveToken(url, room, login, token) {
  try {
    const key = keyOf([url, room, login]);
    storage()?.setItem(key, JSON.stringify({ token, at: Date.now() }));
  } catch {
    // A browser without storage shows the old tile until the server notices.
  }
}
