// The start page: one room for all the links.
import { copyField } from './shared/dialogs.js';
import { loadChoices } from './shared/settings.js';
import { connect } from '../sdk/index.js';

const room = /** @type {HTMLInputElement} */ (document.querySelector('#room'));
const address = /** @type {HTMLElement} */ (document.querySelector('#address'));
const encoders = /** @type {HTMLElement} */ (document.querySelector('#encoders'));
const cards = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.app-card'));

/** The port of RTMP, once the server has told it. @type {number | undefined} */
let rtmp;

/** @param {string} room */
function showRtmp(room) {
  const path = `${encodeURIComponent(room) || 'ROOM'}/NAME`;
  const url = `rtmp://${location.hostname}:${rtmp}/${path}`;
  const field = copyField('RTMP address', url, 'rtmpAddress', () => {});
  encoders.querySelector('#rtmp')?.replaceChildren(field);
  encoders.hidden = false;
}

async function askForRtmp() {
  const session = await connect({ urlServer: url });
  rtmp = session.server()?.rtmp;
  session.disconnect();
  show();
}

function show() {
  const name = room.value.trim();
  if (rtmp) showRtmp(name);
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
// Without an answer there is nothing to show.
askForRtmp().catch(() => {});
