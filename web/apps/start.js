// The start page: one room for all the links.
import { defaultUrl } from '../sdk/index.js';
import { copyField } from './shared/dialogs.js';
import { loadChoices, rtmpAddress } from './shared/settings.js';

const room = /** @type {HTMLInputElement} */ (document.querySelector('#room'));
const cards = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.app-card'));

function show() {
  const name = room.value.trim();
  for (const card of cards) card.search = name ? `?room=${encodeURIComponent(name)}` : '';
  document
    .querySelector('#rtmp')
    ?.replaceChildren(
      copyField('RTMP address', rtmpAddress(name || 'ROOM'), 'rtmpAddress', () => {}),
    );
}

room.value = loadChoices().room;
room.addEventListener('input', show);
room.addEventListener('keydown', (event) => {
  if (event.key === 'Enter') cards[0].click();
});
document
  .querySelector('#address')
  ?.replaceChildren(copyField('urlServer', defaultUrl(), 'urlServer', () => {}));
show();
