// Which codecs a publication may use, after players have complained.

/** Not codecs of their own: what protects or accompanies the others. */
const COMPANIONS = ['rtx', 'red', 'ulpfec', 'flexfec-03', 'telephone-event', 'cn'];

/**
 * @typedef {'audio' | 'video'} Kind
 * @typedef {{getParameters(): {codecs?: {mimeType: string}[]}}} Sender
 */

/** @param {string} mimeType */
const nameOf = (mimeType) => mimeType.slice(mimeType.indexOf('/') + 1).toLowerCase();

/** What this browser can send. @param {Kind} kind */
const capabilities = (kind) => globalThis.RTCRtpSender?.getCapabilities?.(kind)?.codecs;

export class Codecs {
  /** @type {Partial<Record<Kind, Set<string>>>} */
  #allowed = {};

  /**
   * The codecs that everyone who complained can take; `undefined` when all may be used.
   *
   * @param {Kind} kind
   */
  allowed(kind) {
    return this.#allowed[kind];
  }

  /**
   * A player has offered these codecs and none was the one that is sent. Tells whether another
   * offer, of what this browser can send, would serve that player and all who complained before.
   *
   * @param {any} payload `{video: [name], audio: [name]}`
   * @param {Partial<Record<Kind, Sender | undefined>>} senders
   */
  complain(payload, senders) {
    let isBetter = false;
    for (const kind of /** @type {const} */ (['audio', 'video'])) {
      const offered = Array.isArray(payload?.[kind]) ? payload[kind] : [];
      const names = offered.map((/** @type {unknown} */ name) => String(name).toLowerCase());
      const used = (senders[kind]?.getParameters().codecs ?? [])
        .map(({ mimeType }) => nameOf(mimeType))
        .filter((name) => !COMPANIONS.includes(name));
      const serves = used.some((name) => names.includes(name));
      if (names.length === 0 || used.length === 0 || serves) continue;
      const before = this.#allowed[kind];
      const able = capabilities(kind)?.map(({ mimeType }) => nameOf(mimeType));
      const common = names.filter(
        (/** @type {string} */ name) =>
          (before?.has(name) ?? true) && (able?.includes(name) ?? true),
      );
      // Who can take none of what the others can is left without rather than all of them.
      if (common.length === 0) continue;
      this.#allowed[kind] = new Set(common);
      isBetter = true;
    }
    return isBetter;
  }
}

/**
 * @param {RTCRtpTransceiver} transceiver
 * @param {Kind} kind
 * @param {Set<string> | undefined} allowed
 */
export function applyPreferences(transceiver, kind, allowed) {
  if (!allowed || !transceiver.setCodecPreferences) return;
  const codecs = capabilities(kind) ?? [];
  const isCompanion = (/** @type {string} */ name) => COMPANIONS.includes(name);
  const chosen = codecs.filter(({ mimeType }) => {
    const name = nameOf(mimeType);
    return allowed.has(name) || isCompanion(name);
  });
  // Nothing but companions: this browser cannot make what is asked for.
  if (chosen.every(({ mimeType }) => isCompanion(nameOf(mimeType)))) return;
  transceiver.setCodecPreferences(chosen);
}
