// A server in memory that keeps the Room API's contract, and fakes of what a browser gives, so
// that the SDK can be tested in node, with every kind of trouble.

const PARLOR = { version: '0.0.0', room: { history: 200 } };

/** @returns {void} */
export function installBrowser(server) {
  Object.assign(globalThis, {
    WebSocket: class extends FakeSocket {
      constructor(url) {
        super(url, server);
      }
    },
    RTCPeerConnection: FakeConnection,
    RTCRtpSender: {
      getCapabilities: (kind) => ({
        codecs: CODECS[kind].map((name) => ({ mimeType: `${kind}/${name}` })),
      }),
    },
    MediaStream: FakeMedia,
  });
  FakeConnection.all.length = 0;
}

const CODECS = { audio: ['opus', 'PCMU', 'telephone-event'], video: ['H264', 'VP8', 'rtx'] };

export class FakeTrack {
  readyState = 'live';
  enabled = true;
  onended = null;
  constructor(kind) {
    this.kind = kind;
  }
  stop() {
    this.readyState = 'ended';
  }
  getSettings() {
    return {};
  }
}

export class FakeMedia {
  #tracks;
  constructor(tracks = []) {
    this.#tracks = [...tracks];
  }
  getTracks() {
    return [...this.#tracks];
  }
  getAudioTracks() {
    return this.#tracks.filter(({ kind }) => kind === 'audio');
  }
  getVideoTracks() {
    return this.#tracks.filter(({ kind }) => kind === 'video');
  }
  addTrack(track) {
    if (!this.#tracks.includes(track)) this.#tracks.push(track);
  }
  removeTrack(track) {
    this.#tracks = this.#tracks.filter((each) => each !== track);
  }
}

export const newMedia = () => new FakeMedia([new FakeTrack('audio'), new FakeTrack('video')]);

class FakeConnection {
  static all = [];
  signalingState = 'stable';
  connectionState = 'new';
  onconnectionstatechange = null;
  transceivers = [];

  constructor() {
    FakeConnection.all.push(this);
  }
  addTransceiver(trackOrKind, init) {
    const track = typeof trackOrKind === 'string' ? null : trackOrKind;
    const kind = track?.kind ?? trackOrKind;
    const transceiver = { kind, init, codecs: CODECS[kind] };
    transceiver.sender = {
      track,
      replaceTrack: async (next) => (transceiver.sender.track = next),
      // The server takes the first codec of the offer.
      getParameters: () => ({
        encodings: [{}],
        codecs: [{ mimeType: `${kind}/${transceiver.codecs[0]}` }],
      }),
      setParameters: async () => {},
    };
    transceiver.setCodecPreferences = (codecs) => {
      transceiver.codecs = codecs.map(({ mimeType }) => mimeType.split('/')[1]);
    };
    this.transceivers.push(transceiver);
    return transceiver;
  }
  async createOffer() {
    const sections = this.transceivers.map(({ kind, codecs }) => `${kind}:${codecs.join(',')}`);
    return { type: 'offer', sdp: sections.join(' ') };
  }
  async setLocalDescription(description) {
    this.localDescription = description;
    this.signalingState = 'have-local-offer';
  }
  async setRemoteDescription() {
    this.signalingState = 'stable';
    this.become('connected');
  }
  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
  async getStats() {
    return new Map();
  }
  close() {
    this.connectionState = 'closed';
    this.signalingState = 'closed';
  }
}

export const connections = () => FakeConnection.all;

class FakeSocket {
  readyState = 0;
  constructor(url, server) {
    this.url = url;
    this.server = server;
    setTimeout(() => {
      if (server.isDown) return this.end(1006);
      if (server.isMute || this.readyState !== 0) return;
      this.readyState = 1;
      server.sockets.add(this);
      this.onopen?.();
    });
  }
  send(text) {
    const { message, data } = JSON.parse(text);
    setTimeout(() => this.readyState === 1 && this.server.receive(this, message, data[0]));
  }
  tell(message, ...data) {
    if (this.server.isMute) return;
    setTimeout(() => {
      if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify({ message, data }) });
    });
  }
  close() {
    if (this.readyState > 1) return;
    this.readyState = 3;
    this.server.gone(this);
  }
  end(code, reason = '') {
    this.readyState = 3;
    this.server.sockets.delete(this);
    this.onclose?.({ code, reason });
  }
}

/**
 * Rooms with participants and streams. `isDown` refuses connections, `isMute` says nothing,
 * `isParlor` turns Parlor's additions off, `limit` is the most participants of a room.
 */
export class FakeServer {
  isDown = false;
  isMute = false;
  isParlor = true;
  limit = Infinity;
  sockets = new Set();
  /** Name → login → `{socket, token, streams}`. */
  rooms = new Map();
  history = [];
  received = [];
  attempts = [];

  /** All connections break. The participants stay, until the server notices. */
  cut() {
    for (const socket of [...this.sockets]) socket.end(1006);
  }

  /** The server notices that the connections of `login` are gone. */
  notice(login) {
    for (const [name, room] of this.rooms) {
      if (room.get(login)) this.#remove(name, login);
    }
  }

  members(name) {
    return [...(this.rooms.get(name)?.keys() ?? [])];
  }

  streams(name) {
    const members = [...(this.rooms.get(name)?.values() ?? [])];
    return members.flatMap((member) => [...member.streams.keys()]);
  }

  gone(socket) {
    this.sockets.delete(socket);
    for (const [name, room] of this.rooms) {
      for (const [login, member] of room) if (member.socket === socket) this.#remove(name, login);
    }
  }

  receive(socket, message, data) {
    this.received.push({ message, data });
    if (this.isMute) return;
    switch (message) {
      case 'connection':
        socket.login = data.custom.login;
        socket.tell('getUserData', this.isParlor ? { parlor: PARLOR } : {});
        break;
      case 'ping':
        socket.tell('pong', null);
        break;
      case 'sendData':
        this.#command(socket, data.operationId, data.payload);
        break;
      case 'publishStream':
        this.#publish(socket, data);
        break;
      case 'playStream':
        this.#play(socket, data);
        break;
      case 'unPublishStream':
        this.#status(socket, data, 'UNPUBLISHED');
        this.#unpublish(data.name);
        break;
      case 'stopStream':
        this.#status(socket, data, 'STOPPED');
        break;
      default:
        break;
    }
  }

  event(socket, room, name, info) {
    socket.tell('OnDataEvent', { operationId: '1', payload: { roomName: room, name, info } });
  }

  #others(name, login, event, info) {
    for (const [other, { socket }] of this.rooms.get(name) ?? []) {
      if (other !== login) this.event(socket, name, event, info);
    }
  }

  #command(socket, operationId, { command, options }) {
    const answer = (status, more) =>
      socket.tell('DataStatusEvent', { operationId, status, ...more });
    const accept = (more) => answer('ACCEPTED', more);
    const refuse = (info) => answer('FAILED', { info });
    if (command === 'join') return this.#join(socket, options, accept, refuse);
    if (command === 'leave') {
      accept();
      this.#remove(options.name, socket.login);
      return;
    }
    const name = options.roomConfig.name;
    const message = { from: socket.login, text: options.text };
    if (options.to === undefined && !this.isParlor) return refuse('`to` must be there');
    if (options.to === undefined) {
      this.history.push(message);
      this.#others(name, socket.login, 'MESSAGE', { ...message, all: true });
    } else {
      const member = this.rooms.get(name)?.get(options.to);
      if (!member) return refuse(`There is no participant "${options.to}" in this room`);
      this.event(member.socket, name, 'MESSAGE', message);
    }
    accept();
  }

  #join(socket, { name, resume, history }, accept, refuse) {
    this.attempts.push({ at: Date.now(), login: socket.login, resume });
    const { login } = socket;
    const room = this.rooms.get(name) ?? new Map();
    this.rooms.set(name, room);
    const there = room.get(login);
    if (there && resume === there.token) this.#remove(name, login);
    if (room.has(login)) return refuse(`The login "${login}" is already in use in this room`);
    if (room.size >= this.limit) return refuse('This room is full');
    const state = [...room].flatMap(([other, { streams }]) => {
      const entries = [...streams.keys()].map((each) => ({ login: other, name: each }));
      return entries.length > 0 ? entries : [other];
    });
    const token = `token-${this.attempts.length}`;
    room.set(login, { socket, token, streams: new Map() });
    accept(this.isParlor ? { resume: token } : {});
    this.event(socket, name, 'STATE', state);
    if (this.isParlor && history) {
      const aged = this.history.map((each) => ({ ...each, age: 60_000 }));
      this.event(socket, name, 'HISTORY', aged);
    }
    this.#others(name, login, 'JOINED', login);
  }

  #remove(name, login) {
    const member = this.rooms.get(name)?.get(login);
    if (!member) return;
    for (const stream of [...member.streams.keys()]) this.#unpublish(stream);
    this.rooms.get(name).delete(login);
    this.#others(name, login, 'LEFT', login);
  }

  #status(socket, { mediaSessionId, name }, status, more) {
    socket.tell('notifyStreamStatusEvent', { mediaSessionId, name, status, ...more });
  }

  #publish(socket, data) {
    const name = data.custom.name;
    const member = this.rooms.get(name)?.get(socket.login);
    if (!member || member.socket !== socket) {
      this.#status(socket, data, 'FAILED', { info: 'You are not in this room' });
      return;
    }
    member.streams.set(data.name, { id: data.mediaSessionId, socket });
    socket.tell('setRemoteSDP', data.mediaSessionId, 'answer', true);
    this.#status(socket, data, 'PUBLISHING');
    this.#others(name, socket.login, 'PUBLISHED', { login: socket.login, name: data.name });
  }

  #play(socket, data) {
    if (!this.streams(data.custom.name).includes(data.name)) {
      this.#status(socket, data, 'FAILED', { info: 'Stream not found' });
      return;
    }
    socket.tell('setRemoteSDP', data.mediaSessionId, 'answer', true);
    this.#status(socket, data, 'PLAYING');
  }

  #unpublish(stream) {
    for (const [name, room] of this.rooms) {
      for (const [login, { streams }] of room) {
        if (streams.delete(stream)) {
          this.#others(name, login, 'UNPUBLISHED', { login, name: stream });
        }
      }
    }
  }

  /** Says something of a stream to the one who publishes it. */
  tellPublisher(stream, message, more) {
    for (const room of this.rooms.values()) {
      for (const { streams } of room.values()) {
        const found = streams.get(stream);
        if (found) found.socket.tell(message, { mediaSessionId: found.id, ...more });
      }
    }
  }
}
