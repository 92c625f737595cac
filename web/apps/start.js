// The start page: one room for all the links.
import { copyField } from './shared/dialogs.js';
import { loadChoices } from './shared/settings.js';

const room = /** @type {HTMLInputElement} */ (document.querySelector('#room'));
const address = /** @type {HTMLElement} */ (document.querySelector('#address'));
const cards = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.app-card'));

function show() {
  const name = room.value.trim();
  for (const card of cards) card.search = name ? `?room=${encodeURIComponent(name)}` : '';
}

const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
address.replaceChildren(copyField('WebSocket address', url, 'webSocketAddress', () => {}));
room.value = loadChoices().room;
room.addEventListener('input', show);
room.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') cards[0].click();
});
show();
