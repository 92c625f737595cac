// What opens over the call: the invitation and the devices.
import { h, icon } from './dom.js';
import { inviteLink } from './settings.js';

/**
 * A dialog with a heading and a button that closes it.
 *
 * @param {string} title
 * @param {...import('./dom.js').Child} children
 */
export function dialog(title, ...children) {
  const id = `dialog-${title.toLowerCase().replace(/\W+/g, '-')}`;
  const element = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': id },
    h(
      'header',
      { class: 'dialog-head' },
      h('h2', { id }, title),
      h(
        'button',
        {
          class: 'button-quiet',
          type: 'button',
          'aria-label': 'Close',
          onclick: () => element.close(),
        },
        icon('close'),
      ),
    ),
    ...children,
  );
  // A click beside the dialog is a click on its backdrop.
  element.addEventListener('click', (event) => {
    if (event.target === element) element.close();
  });
  return element;
}

/**
 * @param {string} room
 * @param {(words: string) => void} say
 */
export function inviteDialog(room, say) {
  return dialog(
    'Invite others',
    copyField('Link to this room', inviteLink(room), 'inviteAddress', say),
  );
}

/**
 * A text that is there to be taken along.
 *
 * @param {string} label
 * @param {string} text
 * @param {string} id
 * @param {(words: string) => void} say
 */
export function copyField(label, text, id, say) {
  const field = h('input', { id, value: text, readOnly: true, onfocus: () => field.select() });
  const words = h('span', {}, 'Copy');
  const button = h('button', { class: 'button', type: 'button' }, icon('copy'), words);
  button.addEventListener('click', async () => {
    const isDone = await copy(text, field);
    words.textContent = isDone ? 'Copied' : 'Press Ctrl+C';
    say(isDone ? `${label} copied` : 'Press Ctrl+C to copy');
    setTimeout(() => (words.textContent = 'Copy'), 2_000);
  });
  return h(
    'div',
    { class: 'copy' },
    h('label', { class: 'field' }, h('span', {}, label), field),
    button,
  );
}

/**
 * @param {string} text
 * @param {HTMLInputElement} field
 */
async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages over plain http have no clipboard of the new kind.
    field.focus();
    field.select();
    return document.execCommand('copy');
  }
}
