// Choosing devices: in the lobby and during the call.
import { devices } from '../../sdk/index.js';
import { h } from './dom.js';

/**
 * @typedef {'camera' | 'microphone' | 'speaker'} Kind
 * @typedef {import('./settings.js').Choices} Choices
 */

const LABELS = { camera: 'Camera', microphone: 'Microphone', speaker: 'Loudspeaker' };
const LISTS = /** @type {const} */ ({
  camera: 'cameras',
  microphone: 'microphones',
  speaker: 'speakers',
});
const canChooseSpeaker = 'setSinkId' in HTMLMediaElement.prototype;

export class DevicePicker {
  /** @type {Partial<Record<Kind, HTMLSelectElement>>} */
  #fields = {};
  #choices;

  /**
   * @param {Choices} choices is kept up to date
   * @param {(kind: Kind) => void} onChoice
   */
  constructor(choices, onChoice) {
    this.#choices = choices;
    const kinds = /** @type {Kind[]} */ (['camera', 'microphone']);
    if (canChooseSpeaker) kinds.push('speaker');
    this.root = h('div', { class: 'picker' });
    for (const kind of kinds) {
      const field = h('select', {
        id: `pick-${kind}`,
        disabled: true,
        onchange: () => {
          choices[kind] = field.value;
          onChoice(kind);
        },
      });
      this.#fields[kind] = field;
      this.root.append(
        h('label', { class: 'field' }, h('span', {}, LABELS[kind]), field),
      );
    }
  }

  /**
   * Lists what there is now.
   *
   * @param {MediaStream | null} media what is open: it is shown as chosen
   */
  async refresh(media) {
    const found = await devices.list().catch(() => null);
    for (const [name, field] of Object.entries(this.#fields)) {
      const kind = /** @type {Kind} */ (name);
      const list = found?.[LISTS[kind]] ?? [];
      const tracks = kind === 'camera' ? media?.getVideoTracks() : media?.getAudioTracks();
      const open = kind === 'speaker' ? undefined : tracks?.[0]?.getSettings().deviceId;
      const chosen = open || this.#choices[kind];
      field.replaceChildren(
        ...list.map(({ id, label }) => h('option', { value: id }, label)),
        ...(list.length === 0 ? [h('option', { value: '' }, noneOf(kind))] : []),
      );
      field.disabled = list.length === 0;
      if (list.some(({ id }) => id === chosen)) field.value = chosen;
    }
  }
}

/** @param {Kind} kind */
function noneOf(kind) {
  return kind === 'speaker' ? 'System default' : `No ${LABELS[kind].toLowerCase()} found`;
}
