// Builds elements. Text is only ever set as text.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Makes an element. Properties that begin with `on` are listeners, `class`, `role`, `for`,
 * `aria-…`, `data-…` and other names with a hyphen are attributes, the rest are properties.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class' || name === 'role' || name === 'for' || name.includes('-')) {
      element.setAttribute(name, value === true ? '' : String(value));
    } else Reflect.set(element, name, value);
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** Outlines on a field of 24 by 24. */
const PATHS = {
  mic: 'M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15z' +
    'M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3.5',
  micOff: 'M15.5 9.5v-3a3.5 3.5 0 0 0-6.7-1.4M8.5 8.5v3a3.5 3.5 0 0 0 5.4 2.9' +
    'M5.5 11.5a6.5 6.5 0 0 0 10.4 5.2M18 14a6.5 6.5 0 0 0 .5-2.5M12 18v3.5M3.5 3.5l17 17',
  camera: 'M3 7.5A1.5 1.5 0 0 1 4.5 6h9A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9' +
    'A1.5 1.5 0 0 1 3 16.5zM15 11l6-3.5v9L15 13z',
  cameraOff: 'M9 6h4.5A1.5 1.5 0 0 1 15 7.5V12M15 15v1.5a1.5 1.5 0 0 1-1.5 1.5h-9' +
    'A1.5 1.5 0 0 1 3 16.5v-9A1.5 1.5 0 0 1 4.5 6M15 11l6-3.5v9l-3-1.7M3.5 3.5l17 17',
  screen: 'M3 5.5A1.5 1.5 0 0 1 4.5 4h15A1.5 1.5 0 0 1 21 5.5v10a1.5 1.5 0 0 1-1.5 1.5h-15' +
    'A1.5 1.5 0 0 1 3 15.5zM8 21h8M12 14V7.5M9 10l3-3 3 3',
  screenOff: 'M3 5.5A1.5 1.5 0 0 1 4.5 4h15A1.5 1.5 0 0 1 21 5.5v10a1.5 1.5 0 0 1-1.5 1.5h-15' +
    'A1.5 1.5 0 0 1 3 15.5zM8 21h8M9.5 8l5 5M14.5 8l-5 5',
  chat: 'M4 5.5A1.5 1.5 0 0 1 5.5 4h13A1.5 1.5 0 0 1 20 5.5v9a1.5 1.5 0 0 1-1.5 1.5H10l-4.5 4' +
    'v-4A1.5 1.5 0 0 1 4 14.5zM8 8.5h8M8 11.5h5',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z' +
    'M9 14.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z',
  invite: 'M10 13.5a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 6.5M14 10.5a4 4 0 0 0-6-.4l-3 3' +
    'a4 4 0 0 0 5.7 5.7l1.3-1.3',
  leave: 'M12 9c-1.7 0-3.3.3-4.8.8v3.1c0 .4-.2.7-.6.9-1 .5-1.8 1.1-2.6 1.8' +
    '-.2.2-.4.3-.7.3s-.5-.1-.7-.3L.3 13.1a1 1 0 0 1 0-1.4A17 17 0 0 1 12 7' +
    'a17 17 0 0 1 11.7 4.7 1 1 0 0 1 0 1.4l-2.3 2.5c-.4.4-1 .4-1.4 0' +
    '-.8-.7-1.6-1.3-2.6-1.8a1 1 0 0 1-.6-.9V9.8C15.3 9.3 13.7 9 12 9z',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h9.5A1.5 1.5 0 0 1 20 10.5v9a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 9 19.5z' +
    'M15 9V4.5A1.5 1.5 0 0 0 13.5 3h-9A1.5 1.5 0 0 0 3 4.5v9A1.5 1.5 0 0 0 4.5 15H9',
  check: 'M4.5 12.5l5 5 10-11',
  send: 'M4 12l16-8-5.5 16-3-6.5zM11.5 13.5L20 4',
  weak: 'M12 3.5L22 20.5H2zM12 10v5M12 17.6v.4',
  pin: 'M9 3.5h6l-.8 6 3.3 3.5v1.5h-11V13l3.3-3.5zM12 14.5v6',
  people: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0' +
    'M16 4.8a3.5 3.5 0 0 1 0 6.4M18 14.3a6.5 6.5 0 0 1 3.5 5.7',
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * A drawing that says nothing by itself: its button or its neighbour has the words.
 *
 * @param {IconName} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', name === 'leave' ? 'icon icon-solid' : 'icon');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/**
 * Replaces the drawing inside of a button.
 *
 * @param {Element} element
 * @param {IconName} name
 */
export function setIcon(element, name) {
  element.querySelector('svg')?.replaceWith(icon(name));
}

/**
 * A name or a text of someone, kept from turning its surroundings around.
 *
 * @param {string} text
 */
export function isolated(text) {
  return h('bdi', {}, text);
}
