// Shows the examples and runs them.
import { h } from '../../apps/shared/dom.js';

const EXAMPLES = ['call', 'chat', 'devices', 'screen', 'stats', 'errors'];

const list = /** @type {HTMLElement} */ (document.querySelector('#examples'));

for (const name of EXAMPLES) list.append(await section(name));

/** @param {string} name */
async function section(name) {
  const source = await (await fetch(`${name}.js`)).text();
  const [first, ...rest] = source.split('\n');
  const output = h('pre', { class: 'output', role: 'log', 'aria-label': 'Output', tabIndex: 0 });
  const places = h('div', { class: 'places' });
  const run = h('button', { class: 'button button-main', type: 'button' }, 'Run');
  const stop = h('button', { class: 'button', type: 'button', disabled: true }, 'Stop');
  let end = () => {};
  stop.addEventListener('click', () => {
    end();
    places.replaceChildren();
    [run.disabled, stop.disabled] = [false, true];
  });
  run.addEventListener('click', async () => {
    run.disabled = true;
    output.textContent = '';
    const log = (/** @type {unknown} */ text) => output.append(`${text}\n`);
    try {
      const module = await import(`./${name}.js`);
      const room = `example-${name}-${Math.floor(Math.random() * 1e6)}`;
      const place = (/** @type {string} */ title) => at(places, title);
      end = await module.run({ log, room, place });
      log('done');
    } catch (error) {
      log(error);
    }
    stop.disabled = false;
  });
  return h(
    'section',
    { class: 'card', id: name },
    h('h2', {}, first.replace(/^\/\/ /, '')),
    h('pre', { class: 'source', tabIndex: 0 }, h('code', {}, rest.join('\n').trim())),
    h('p', { class: 'buttons' }, run, stop),
    places,
    output,
  );
}

/**
 * @param {HTMLElement} places
 * @param {string} title
 */
function at(places, title) {
  const place = h('figure', {}, h('figcaption', {}, title));
  places.append(place);
  return place;
}
