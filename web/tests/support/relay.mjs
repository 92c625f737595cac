// A bad network between a browser and the server: media goes through here and is lost on the way.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** SRTP and SRTCP start so; STUN and DTLS are left alone, to keep call set-up short. */
const isMedia = (packet) => packet[0] >= 128 && packet[0] <= 191;

/**
 * Relays datagrams on loopback to `port` and back, and loses every `period`-th media packet of
 * each direction; all that go towards the server as long as `isCut` of what it gives is set.
 */
export async function startRelay(t, port, period) {
  const door = createSocket('udp4');
  const upstreams = new Map();
  const counts = { towards: { passed: 0, lost: 0 }, back: { passed: 0, lost: 0 } };
  const relay = { port: 0, counts, isCut: false };
  const loses = (direction, packet) => {
    if (!isMedia(packet)) return false;
    const count = counts[direction];
    const isCut = relay.isCut && direction === 'towards';
    const lost = isCut || (count.passed + count.lost) % period === period - 1;
    count[lost ? 'lost' : 'passed'] += 1;
    return lost;
  };
  door.on('message', (packet, from) => {
    const key = `${from.address}:${from.port}`;
    let upstream = upstreams.get(key);
    if (!upstream) {
      upstream = createSocket('udp4');
      upstream.on('message', (answer) => {
        if (!loses('back', answer)) door.send(answer, from.port, from.address);
      });
      upstream.bind(0, '127.0.0.1');
      upstreams.set(key, upstream);
    }
    if (!loses('towards', packet)) upstream.send(packet, port, '127.0.0.1');
  });
  door.bind(0, '127.0.0.1');
  await once(door, 'listening');
  t.after(() => {
    door.close();
    for (const upstream of upstreams.values()) upstream.close();
  });
  relay.port = door.address().port;
  return relay;
}
