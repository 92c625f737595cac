// Typed errors. `code` is for programs, `message` for people: it says what happened, and what to
// do about it where anything can be done.

/** Any error of this SDK. */
export class ParlorError extends Error {
  /**
   * @param {string} code one of the codes of the subclass
   * @param {string} message a sentence for people
   * @param {{cause?: unknown}} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/**
 * The session: `UNREACHABLE`, `TIMEOUT`, `REJECTED`, `LOST`, `CLOSED`, `INVALID_STATE`.
 */
export class ConnectionError extends ParlorError {}

/**
 * A room: `NAME_IN_USE`, `ROOM_FULL`, `REFUSED`, `REPLACED`, `TIMEOUT`, `LEFT`.
 */
export class RoomError extends ParlorError {
  /**
   * Reads the server's sentence.
   *
   * @param {string | undefined} info
   */
  static refused(info) {
    const sentence = info || 'The server refused without a reason';
    if (/already in use in this room/i.test(sentence)) {
      return new RoomError('NAME_IN_USE', sentence);
    }
    if (/room is full/i.test(sentence)) return new RoomError('ROOM_FULL', sentence);
    return new RoomError('REFUSED', sentence);
  }
}

/**
 * A stream: `NOT_FOUND`, `NO_COMMON_CODECS`, `NAME_IN_USE`, `ICE`, `REFUSED`, `STOPPED`.
 */
export class StreamError extends ParlorError {
  /**
   * Reads the server's sentence.
   *
   * @param {string | undefined} info
   */
  static failed(info) {
    const sentence = info || 'The stream failed';
    if (/stream not found/i.test(sentence)) return new StreamError('NOT_FOUND', sentence);
    if (/no common codecs/i.test(sentence)) return new StreamError('NO_COMMON_CODECS', sentence);
    if (/name is already in use/i.test(sentence)) return new StreamError('NAME_IN_USE', sentence);
    if (/^failed by /i.test(sentence)) return new StreamError('ICE', sentence);
    return new StreamError('REFUSED', sentence);
  }
}

/** What cannot be had, in words, with the fix. */
const DEVICE_SENTENCES = {
  DENIED:
    'The browser is not allowed to use the {what}. Allow it by the icon beside the address, ' +
    'and try again.',
  NOT_FOUND: 'No {what} was found. Plug one in, and try again.',
  BUSY:
    'The {what} is in use by another program, or the system blocks it. Close what else uses it, ' +
    'and try again.',
  GONE: 'The chosen {what} is no longer there. Choose another one.',
  INSECURE:
    'This browser gives no camera or microphone to a page that came over plain http. Open the ' +
    'page by https://, or on the machine itself by http://localhost.',
  UNSUPPORTED: 'This browser cannot do this: it has no access to the {what}.',
  CANCELLED: 'Nothing was chosen to share.',
  FAILED: 'The {what} could not be opened.',
};

/**
 * A camera, a microphone or the screen: `DENIED`, `NOT_FOUND`, `BUSY`, `GONE`, `INSECURE`,
 * `UNSUPPORTED`, `CANCELLED`, `FAILED`.
 */
export class DeviceError extends ParlorError {
  /**
   * @param {keyof typeof DEVICE_SENTENCES} code
   * @param {string} what the device or devices, for people
   * @param {unknown} [cause]
   */
  constructor(code, what, cause) {
    super(code, DEVICE_SENTENCES[code].replaceAll('{what}', what), { cause });
  }

  /**
   * Names the reason for which the browser gave no media.
   *
   * @param {unknown} cause
   * @param {string} what
   */
  static from(cause, what) {
    if (cause instanceof DeviceError) return cause;
    const name = cause instanceof Error || cause instanceof DOMException ? cause.name : '';
    switch (name) {
      case 'NotAllowedError':
      case 'PermissionDeniedError':
        return new DeviceError(what === 'screen' ? 'CANCELLED' : 'DENIED', what, cause);
      case 'NotFoundError':
      case 'DevicesNotFoundError':
        return new DeviceError('NOT_FOUND', what, cause);
      case 'NotReadableError':
      case 'TrackStartError':
      case 'AbortError':
        return new DeviceError('BUSY', what, cause);
      case 'OverconstrainedError':
        return new DeviceError('GONE', what, cause);
      case 'SecurityError':
        return new DeviceError('INSECURE', what, cause);
      default:
        return new DeviceError('FAILED', what, cause);
    }
  }
}
