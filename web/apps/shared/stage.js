// All tiles of the call, laid out for the space there is.
import { h } from './dom.js';
import { focus, grid, pair } from './layout.js';

/** @typedef {import('./tile.js').Tile} Tile */

export class Stage {
  /** @type {Set<Tile>} */
  #tiles = new Set();
  /** @type {Tile | null} */
  #pinned = null;
  #kind;

  /** @param {'grid' | 'pair'} kind */
  constructor(kind) {
    this.#kind = kind;
    this.list = h('ul', { class: 'tiles' });
    this.hint = h('div', { class: 'stage-hint', hidden: true });
    this.root = h(
      'section',
      { class: 'stage', 'aria-label': 'Participants', tabIndex: 0 },
      this.list,
      this.hint,
    );
    new ResizeObserver(() => this.arrange()).observe(this.root);
  }

  tiles() {
    return [...this.#tiles];
  }

  /** @param {Tile} tile */
  add(tile) {
    this.#tiles.add(tile);
    this.list.append(tile.root);
    this.arrange();
  }

  /** @param {Tile} tile */
  remove(tile) {
    if (!this.#tiles.delete(tile)) return;
    if (this.#pinned === tile) this.#pinned = null;
    tile.root.remove();
    this.arrange();
  }

  /** Shows a tile large, or no longer. @param {Tile} tile */
  togglePin(tile) {
    this.#pinned?.setPinned(false);
    this.#pinned = this.#pinned === tile ? null : tile;
    this.#pinned?.setPinned(true);
    this.arrange();
  }

  arrange() {
    const { clientWidth, clientHeight } = this.root;
    if (clientWidth === 0 || clientHeight === 0) return;
    const { tiles, layout, name } = this.#plan();
    const { rects, height } = layout(tiles.length, clientWidth, clientHeight);
    this.root.dataset.layout = name;
    this.list.style.height = `${height}px`;
    tiles.forEach((tile, i) => {
      const { left, top, width, height: tall } = rects[i];
      const { style } = tile.root;
      style.left = `${left}px`;
      style.top = `${top}px`;
      style.width = `${width}px`;
      style.height = `${tall}px`;
      style.zIndex = name === 'pair' && i > 0 ? '2' : '1';
      tile.root.classList.toggle('tile-main', i === 0 && name !== 'grid');
      tile.root.classList.toggle('tile-small', width < 260);
    });
  }

  #plan() {
    const others = this.tiles().filter((tile) => !tile.isSelf);
    const own = this.tiles().filter((tile) => tile.isSelf);
    // Someone else's screen is what all look at; our own only when nothing else is shared.
    const screens = this.tiles().filter((tile) => tile.isScreen);
    const main = this.#pinned ?? screens.findLast((tile) => !tile.isSelf) ?? screens.at(-1);
    if (main) {
      const rest = [...others, ...own].filter((tile) => tile !== main);
      return { tiles: [main, ...rest], layout: focus, name: 'focus' };
    }
    if (this.#kind === 'pair') return { tiles: [...others, ...own], layout: pair, name: 'pair' };
    return { tiles: [...own, ...others], layout: grid, name: 'grid' };
  }
}
