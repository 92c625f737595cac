// The buttons of the call.
import { h, icon, setIcon } from './dom.js';

/**
 * @typedef {'microphone' | 'camera' | 'screen' | 'chat' | 'settings' | 'leave'} Name
 * @typedef {Partial<Record<Name, () => void>>} Actions what there is no action for has no button
 */

/** @type {Record<Name, {icon: import('./dom.js').IconName, label: string, id: string}>} */
const BUTTONS = {
  microphone: { icon: 'mic', label: 'Mute', id: 'localAudioToggle' },
  camera: { icon: 'camera', label: 'Camera off', id: 'localVideoToggle' },
  screen: { icon: 'screen', label: 'Share screen', id: 'shareBtn' },
  chat: { icon: 'chat', label: 'Chat', id: 'chatBtn' },
  settings: { icon: 'settings', label: 'Devices', id: 'settingsBtn' },
  leave: { icon: 'leave', label: 'Leave', id: 'leaveBtn' },
};

export class Dock {
  /** @type {Partial<Record<Name, HTMLButtonElement>>} */
  #buttons = {};

  /** @param {Actions} actions */
  constructor(actions) {
    this.badge = h('span', { class: 'badge', hidden: true });
    this.root = h('div', { class: 'dock', role: 'toolbar', 'aria-label': 'Call controls' });
    for (const [key, { icon: drawing, label, id }] of Object.entries(BUTTONS)) {
      const name = /** @type {Name} */ (key);
      const onclick = actions[name];
      if (!onclick) continue;
      const button = h(
        'button',
        { class: `dock-button dock-${name}`, type: 'button', id, onclick },
        icon(drawing),
        h('span', { class: 'dock-label' }, label),
        name === 'chat' ? this.badge : null,
      );
      this.#buttons[name] = button;
      this.root.append(button);
    }
    this.#buttons.chat?.setAttribute('aria-controls', 'chat-panel');
  }

  /** @param {boolean} isOn */
  setMicrophone(isOn) {
    this.#set('microphone', isOn ? 'mic' : 'micOff', isOn ? 'Mute' : 'Unmute', !isOn);
  }

  /** @param {boolean} isOn */
  setCamera(isOn) {
    const label = isOn ? 'Camera off' : 'Camera on';
    this.#set('camera', isOn ? 'camera' : 'cameraOff', label, !isOn);
  }

  /** @param {boolean} isOn */
  setScreen(isOn) {
    this.#set('screen', isOn ? 'screenOff' : 'screen', isOn ? 'Stop sharing' : 'Share screen');
    this.#buttons.screen?.classList.toggle('is-on', isOn);
  }

  /** @param {boolean} isOpen */
  setChat(isOpen) {
    this.#buttons.chat?.setAttribute('aria-expanded', String(isOpen));
    this.#buttons.chat?.classList.toggle('is-on', isOpen);
  }

  /** @param {number} count */
  setUnread(count) {
    this.badge.hidden = count === 0;
    this.badge.replaceChildren(
      count > 99 ? '99+' : String(count),
      h('span', { class: 'spoken' }, ' unread'),
    );
  }

  /** @param {Name} name @param {boolean} isBusy */
  setBusy(name, isBusy) {
    const button = this.#buttons[name];
    if (button) button.disabled = isBusy;
  }

  /** @param {Name} name */
  focus(name) {
    this.#buttons[name]?.focus();
  }

  /**
   * @param {Name} name
   * @param {import('./dom.js').IconName} drawing
   * @param {string} label
   * @param {boolean} [isOff]
   */
  #set(name, drawing, label, isOff = false) {
    const button = this.#buttons[name];
    if (!button) return;
    setIcon(button, drawing);
    const text = button.querySelector('.dock-label');
    if (text) text.textContent = label;
    button.classList.toggle('is-off', isOff);
  }
}
