// RTMP by hand: a room client of the Flash era, as its ActionScript speaks, and a player that
// says what it takes by Enhanced RTMP.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { eventually } from './participant.mjs';

const KIND = { chunkSize: 1, audio: 8, video: 9, data: 18, command: 20 };
const MEDIA = [KIND.audio, KIND.video, KIND.data];
const FIRST_CHUNK = 128;
const CHUNK = 4_096;

const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

const number = (value, size) => {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
};

/** A value in AMF0. */
function amf(value) {
  if (value === null) return Buffer.from([5]);
  if (typeof value === 'string') return Buffer.concat([Buffer.from([2]), text(value)]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (Array.isArray(value)) {
    return Buffer.concat([Buffer.from([10]), number(value.length, 4), ...value.map(amf)]);
  }
  const fields = Object.entries(value).map(([name, each]) => Buffer.concat([text(name), amf(each)]));
  return Buffer.concat([Buffer.from([3]), ...fields, Buffer.from([0, 0, 9])]);
}

/** The values of AMF0 that `bytes` are. */
function values(bytes) {
  let at = 0;
  const take = (count) => bytes.subarray(at, (at += count));
  const word = () => take(take(2).readUInt16BE()).toString();
  const fields = () => {
    const object = {};
    for (;;) {
      const name = word();
      if (name === '' && bytes[at] === 9) return (at++, object);
      object[name] = value();
    }
  };
  function value() {
    const marker = take(1)[0];
    if (marker === 0) return take(8).readDoubleBE();
    if (marker === 1) return take(1)[0] !== 0;
    if (marker === 2) return word();
    if (marker === 3) return fields();
    if (marker === 5 || marker === 6) return null;
    if (marker === 10) return Array.from({ length: take(4).readUInt32BE() }, value);
    throw new Error(`a value of type ${marker}`);
  }
  const all = [];
  while (at < bytes.length) all.push(value());
  return all;
}

export class RtmpClient {
  /** What was called here: the name and the first object of its arguments. */
  heard = [];
  #socket;
  #bytes = Buffer.alloc(0);
  /** By chunk stream: the header of its latest message, and what has come of its body. */
  #incoming = new Map();
  #chunkIn = FIRST_CHUNK;
  #chunkOut = FIRST_CHUNK;
  #streams = 0;
  /** By message stream: the tags that have come. */
  #tags = new Map();

  constructor(socket) {
    this.#socket = socket;
    socket.on('error', () => {});
  }

  /**
   * @param {object} about what `connect` says of the client
   * @param {object[]} args what follows it
   */
  static async connect(t, port, about, ...args) {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    const client = new this(socket);
    socket.write(Buffer.concat([Buffer.from([3]), Buffer.alloc(1536)]));
    let answer = Buffer.alloc(0);
    while (answer.length < 3073) answer = Buffer.concat([answer, (await once(socket, 'data'))[0]]);
    socket.write(Buffer.alloc(1536));
    socket.on('data', (bytes) => client.#read(bytes));
    client.call(0, 'connect', 1, about, ...args);
    await client.isTold('NetConnection.Connect.Success');
    client.#write(2, KIND.chunkSize, 0, 0, number(CHUNK, 4));
    client.#chunkOut = CHUNK;
    return client;
  }

  call(stream, name, transaction, ...args) {
    const body = Buffer.concat([name, transaction, ...args].map(amf));
    this.#write(3, KIND.command, 0, stream, body);
  }

  /**
   * Publishes what an ffmpeg that is started then writes as FLV, on a message stream of its own,
   * whose number it gives.
   */
  async publish(name, start) {
    const stream = await this.#publish(name);
    let flv = Buffer.alloc(0);
    let skip = 9 + 4;
    start().child.stdout.on('data', (bytes) => {
      flv = Buffer.concat([flv, bytes]);
      while (flv.length >= skip + 11 && flv.length >= skip + 11 + flv.readUIntBE(skip + 1, 3)) {
        const [kind, length] = [flv[skip], flv.readUIntBE(skip + 1, 3)];
        const time = flv.readUIntBE(skip + 4, 3) + flv[skip + 7] * 2 ** 24;
        const body = flv.subarray(skip + 11, skip + 11 + length);
        this.#write(4 + MEDIA.indexOf(kind), kind, time, stream, body);
        flv = flv.subarray(skip + 11 + length);
        skip = 4;
      }
    });
    return stream;
  }

  /** Publishes what an ffmpeg that is started then writes as IVF: VP8 in the tags of Enhanced RTMP, without sound. */
  async publishVp8(name, start) {
    const stream = await this.#publish(name);
    let ivf = Buffer.alloc(0);
    let skip = 32;
    start().child.stdout.on('data', (bytes) => {
      ivf = Buffer.concat([ivf, bytes]);
      while (ivf.length >= skip + 12 && ivf.length >= skip + 12 + ivf.readUInt32LE(skip)) {
        const time = ivf.readUInt32LE(skip + 4);
        const frame = ivf.subarray(skip + 12, skip + 12 + ivf.readUInt32LE(skip));
        const isKey = (frame[0] & 1) === 0;
        const body = Buffer.concat([number(isKey ? 0x91 : 0xa1, 1), Buffer.from('vp08'), frame]);
        this.#write(6, KIND.video, time, stream, body);
        ivf = ivf.subarray(skip + 12 + frame.length);
        skip = 0;
      }
    });
    return stream;
  }

  async #publish(name) {
    const stream = this.#open('publish', name);
    await this.isTold('NetStream.Publish.Start');
    return stream;
  }

  /** Plays a stream on a message stream, whose number it gives. */
  play(name) {
    return this.#open('play', name);
  }

  #open(method, name) {
    const stream = ++this.#streams;
    this.call(0, 'createStream', 1 + stream, null);
    this.call(stream, method, 0, null, name);
    return stream;
  }

  /** What has come on a message stream: each tag's kind, time and body. */
  tags(stream) {
    return this.#tags.get(stream) ?? [];
  }

  /** Writes what has come on a message stream to a file. */
  keep(stream, file) {
    const parts = [Buffer.from('FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00', 'latin1')];
    for (const { kind, time, body } of this.tags(stream)) {
      const times = [number(time % 2 ** 24, 3), number(Math.floor(time / 2 ** 24), 1)];
      const header = [number(kind, 1), number(body.length, 3), ...times, number(0, 3)];
      parts.push(...header, body, number(11 + body.length, 4));
    }
    writeFileSync(file, Buffer.concat(parts));
  }

  #write(chunkStream, kind, time, stream, body) {
    const length = number(body.length, 3);
    const id = number(stream, 4).reverse();
    const parts = [number(chunkStream, 1), number(time, 3), length, number(kind, 1), id];
    parts.push(body.subarray(0, this.#chunkOut));
    for (let at = this.#chunkOut; at < body.length; at += this.#chunkOut) {
      parts.push(number(0xc0 | chunkStream, 1), body.subarray(at, at + this.#chunkOut));
    }
    this.#socket.write(Buffer.concat(parts));
  }

  #read(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#readChunk());
  }

  /** Takes one chunk, if all of it is there. */
  #readChunk() {
    const bytes = this.#bytes;
    if (bytes.length === 0) return false;
    const size = 1 + [11, 7, 3, 0][bytes[0] >> 6];
    if (bytes.length < size) return false;
    const id = bytes[0] & 63;
    const message = { ...(this.#incoming.get(id) ?? { body: Buffer.alloc(0), time: 0 }) };
    if (message.body.length === 0) {
      if (size > 1) message.step = bytes.readUIntBE(1, 3);
      message.time = size === 12 ? message.step : message.time + message.step;
      if (size > 4) [message.length, message.kind] = [bytes.readUIntBE(4, 3), bytes[7]];
      if (size > 8) message.stream = bytes.readUInt32LE(8);
    }
    const rest = Math.min(this.#chunkIn, message.length - message.body.length);
    if (bytes.length < size + rest) return false;
    message.body = Buffer.concat([message.body, bytes.subarray(size, size + rest)]);
    this.#bytes = bytes.subarray(size + rest);
    const isWhole = message.body.length === message.length;
    this.#incoming.set(id, isWhole ? { ...message, body: Buffer.alloc(0) } : message);
    if (isWhole) this.#onMessage(message);
    return true;
  }

  #onMessage({ kind, time, stream, body }) {
    if (kind === KIND.chunkSize) this.#chunkIn = body.readUInt32BE();
    if (MEDIA.includes(kind)) this.#tags.set(stream, [...this.tags(stream), { kind, time, body }]);
    if (kind !== KIND.command) return;
    const [name, , ...args] = values(body);
    const object = args.findLast((each) => each && typeof each === 'object') ?? null;
    this.heard.push([name, object]);
    if (name === 'ping') this.call(0, 'pong', 0, null);
  }

  /** Waits until something is called here, and gives the object that came with it. */
  async hears(wanted) {
    const [, object] = await eventually(
      `the RTMP client hears ${wanted}`,
      () => this.heard.find(([name, object]) => wanted(name, object)),
      { detail: () => JSON.stringify(this.heard) },
    );
    return object;
  }

  /** Waits for a status, and gives its sentence. */
  async isTold(code) {
    return (await this.hears((_, object) => object?.code === code)).description;
  }
}

export class FlashClient extends RtmpClient {
  static connect(t, port, login) {
    const about = { app: '', flashVer: 'WIN 11,8,800,94' };
    return super.connect(t, port, about, { appKey: 'flashRoomApp', login });
  }

  sendData(operationId, command, options) {
    this.call(0, 'sendData', 0, null, { operationId, payload: { command, options } });
  }

  /** Enters a room, and gives who is in it. */
  async join(room) {
    this.sendData('join', 'join', { name: room });
    return (await this.event('STATE')).info;
  }

  /** Waits for an event of the room that fits, and gives its payload. */
  async event(name, fits = () => true) {
    const isIt = (method, object) =>
      method === 'OnDataEvent' && object.payload.name === name && fits(object.payload.info);
    return (await this.hears(isIt)).payload;
  }
}
