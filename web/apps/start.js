// The start page: one room for all the links.
import { copyField } from './shared/dialogs.js';
import { loadChoices, rtmpAddress } from './shared/settings.js';

const room = /** @type {HTMLInputElement} */ (document.querySelector('#room'));
const rtmp = /** @type {HTMLElement} */ (document.querySelector('#rtmp'));
const cards = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.app-card'));

function show() {
  const name = room.value.trim();
  for (const card of cards) card.search = name ? `?room=${encodeURIComponent(name)}` : '';
  rtmp.replaceChildren(
    copyField('RTMP address', rtmpAddress(name || 'ROOM'), 'rtmpAddress', () => {}),
  );
}

room.value = loadChoices().room;
room.addEventListener('input', show);
room.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') cards[0].click();
});
show();
