// Random names. `crypto.randomUUID` is missing on plain http pages; random values are not.

/** @param {number} bytes */
function hex(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, '0')).join('');
}

/** A fresh id for a stream or an operation. */
export function newId() {
  return [4, 2, 2, 2, 6].map(hex).join('-');
}

/** The four digits that tell two streams of one participant apart. */
export function newTail() {
  return hex(2);
}
