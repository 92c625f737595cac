// Where tiles go: pure geometry, so that a tile never moves in the document and no video stops.

/**
 * @typedef {{left: number, top: number, width: number, height: number}} Rect
 * @typedef {{rects: Rect[], height: number}} Layout `height` of the whole; more than there is
 *   room for is scrolled
 */

const GAP = 10;
const RATIO = 16 / 9;
/** Below this width a tile shows nothing; there is scrolling instead. */
const MIN_WIDTH = 150;

/**
 * All tiles alike, as large as they can be.
 *
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @returns {Layout}
 */
export function grid(count, width, height) {
  if (count === 0) return { rects: [], height };
  // On a phone held upright tiles grow tall rather than stay small.
  const lowest = width < height ? 3 / 4 : 4 / 3;
  let best = { area: 0, columns: 1, tile: { width, height } };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const tile = fit(
      (width - GAP * (columns - 1)) / columns,
      (height - GAP * (rows - 1)) / rows,
      lowest,
    );
    const area = tile.width * tile.height;
    if (area > best.area) best = { area, columns, tile };
  }
  if (best.tile.width < MIN_WIDTH) {
    const columns = Math.max(1, Math.floor((width + GAP) / (MIN_WIDTH + GAP)));
    const tileWidth = (width - GAP * (columns - 1)) / columns;
    best = { area: 0, columns, tile: { width: tileWidth, height: tileWidth / RATIO } };
  }
  const { columns, tile } = best;
  const rows = Math.ceil(count / columns);
  const used = rows * tile.height + (rows - 1) * GAP;
  const above = Math.max(0, (height - used) / 2);
  const rects = Array.from({ length: count }, (_, i) => {
    const row = Math.floor(i / columns);
    const inRow = row === rows - 1 ? count - columns * row : columns;
    const before = (width - inRow * tile.width - (inRow - 1) * GAP) / 2;
    return {
      left: before + (i % columns) * (tile.width + GAP),
      top: above + row * (tile.height + GAP),
      ...tile,
    };
  });
  return { rects, height: Math.max(height, used) };
}

/**
 * The first tile large, the last one small in a corner of it; up to two tiles.
 *
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @returns {Layout}
 */
export function pair(count, width, height) {
  if (count > 2) return focus(count, width, height);
  const large = { left: 0, top: 0, width, height };
  if (count < 2) return { rects: [large].slice(0, count), height };
  const upright = width < height;
  const side = Math.min(280, width * (upright ? 0.32 : 0.26));
  const small = { width: side, height: side / (upright ? 3 / 4 : RATIO) };
  const margin = 14;
  const left = width - small.width - margin;
  const top = height - small.height - margin;
  return { rects: [large, { left, top, ...small }], height };
}

/**
 * The first tile large, the others in a strip beside or below it.
 *
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @returns {Layout}
 */
export function focus(count, width, height) {
  const others = count - 1;
  const whole = { left: 0, top: 0, width, height };
  if (others <= 0) return { rects: [whole].slice(0, count), height };
  if (width < height * 1.1) {
    const stripHeight = Math.min(150, height * 0.28);
    const each = Math.min(stripHeight * RATIO, (width - GAP * (others - 1)) / others);
    const start = (width - others * each - (others - 1) * GAP) / 2;
    const tall = Math.min(stripHeight, each / (3 / 4));
    const top = height - tall;
    const rects = Array.from({ length: others }, (_, i) => ({
      left: start + i * (each + GAP),
      top,
      width: each,
      height: tall,
    }));
    return { rects: [{ ...whole, height: top - GAP }, ...rects], height };
  }
  const stripWidth = Math.min(240, width * 0.22);
  const each = Math.min(stripWidth / RATIO, (height - GAP * (others - 1)) / others);
  const start = (height - others * each - (others - 1) * GAP) / 2;
  const left = width - stripWidth;
  const rects = Array.from({ length: others }, (_, i) => ({
    left,
    top: start + i * (each + GAP),
    width: stripWidth,
    height: each,
  }));
  return { rects: [{ ...whole, width: left - GAP }, ...rects], height };
}

/**
 * The largest tile in a cell, between `lowest` and 16:9.
 *
 * @param {number} width
 * @param {number} height
 * @param {number} lowest
 */
function fit(width, height, lowest) {
  const ratio = Math.min(RATIO, Math.max(lowest, width / height));
  const fitted = Math.min(width, height * ratio);
  return { width: fitted, height: fitted / ratio };
}
