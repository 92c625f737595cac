// A room client of the Flash era, as its ActionScript speaks: RTMP with AMF0, by hand.
import { once } from 'node:events';
import { connect } from 'node:net';
import { eventually } from './participant.mjs';

const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
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

/** A call as a message in chunks of 128 bytes. */
function chunks(stream, body) {
  const head = Buffer.from([3, 0, 0, 0, 0, body.length >> 8, body.length & 255, 20, stream, 0, 0, 0]);
  const parts = [head, body.subarray(0, 128)];
  for (let at = 128; at < body.length; at += 128) {
    parts.push(Buffer.from([0xc3]), body.subarray(at, at + 128));
  }
  return Buffer.concat(parts);
}

export class FlashClient {
  /** What was called here: the name and the first object of its arguments. */
  heard = [];
  #socket;
  #bytes = Buffer.alloc(0);
  #last = new Map();

  constructor(socket) {
    this.#socket = socket;
  }

  static async connect(t, port, login) {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    const client = new FlashClient(socket);
    socket.write(Buffer.concat([Buffer.from([3]), Buffer.alloc(1536)]));
    let answer = Buffer.alloc(0);
    while (answer.length < 3073) answer = Buffer.concat([answer, (await once(socket, 'data'))[0]]);
    socket.write(Buffer.alloc(1536));
    socket.on('data', (bytes) => client.#read(bytes));
    client.call(0, 'connect', 1, { app: '', flashVer: 'WIN 11,8,800,94' }, { appKey: 'flashRoomApp', login });
    await client.hears((name, object) => object?.code === 'NetConnection.Connect.Success');
    return client;
  }

  call(stream, name, transaction, ...args) {
    this.#socket.write(chunks(stream, Buffer.concat([name, transaction, ...args].map(amf))));
  }

  sendData(operationId, command, options) {
    this.call(0, 'sendData', 0, null, { operationId, payload: { command, options } });
  }

  /** Messages of the server are short: each is one chunk, whose header may leave things out. */
  #read(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (;;) {
      const first = this.#bytes[0];
      const size = [11, 7, 3, 0][first >> 6];
      if (this.#bytes.length < 1 + size) return;
      const last = { ...this.#last.get(first & 63) };
      if (size >= 7) {
        last.length = this.#bytes.readUIntBE(4, 3);
        last.kind = this.#bytes[7];
      }
      if (this.#bytes.length < 1 + size + last.length) return;
      const body = this.#bytes.subarray(1 + size, 1 + size + last.length);
      this.#bytes = this.#bytes.subarray(1 + size + last.length);
      this.#last.set(first & 63, last);
      if (last.kind !== 20) continue;
      const [name, , ...args] = values(body);
      const object = args.findLast((each) => each && typeof each === 'object') ?? null;
      this.heard.push([name, object]);
      if (name === 'ping') this.call(0, 'pong', 0, null);
    }
  }

  hears(wanted) {
    return eventually(
      `the Flash client hears ${wanted}`,
      () => this.heard.some(([name, object]) => wanted(name, object)),
      { detail: () => JSON.stringify(this.heard) },
    );
  }
}
