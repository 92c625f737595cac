// A bad network between a browser and the server: media goes through here and is lost on the way.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** SRTP and SRTCP start so; STUN and DTLS are left alone, to keep call set-up short. */
const isMedia = (packet) => packet[0] >= 128 && packet[0] <= 191;

/** The payload type that browsers give to Opus. */
const OPUS = 111;

/** SRTP of a picture. RTCP has types in this place that look like 64 to 95 (RFC 5761 §4). */
const isPicture = (packet) => {
  const type = packet[1] & 0x7f;
  return isMedia(packet) && type !== OPUS && (type < 64 || type > 95);
};

/**
 * Relays datagrams on loopback to `port` and back, and loses every `period`-th media packet of
 * each direction; all that go towards the server as long as `isCut` of what it gives is set. The
 * packets of pictures go towards it `lateness` ms later.
 */
export async function startRelay(t, port, period, lateness = 0) {
  const door = createSocket('udp4');
  const upstreams = new Map();
  const late = new Set();
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
    if (loses('towards', packet)) return;
    const pass = () => upstream.send(packet, port, '127.0.0.1');
    if (lateness && isPicture(packet)) late.add(setTimeout(pass, lateness));
    else pass();
  });
  door.bind(0, '127.0.0.1');
  await once(door, 'listening');
  t.after(() => {
    door.close();
    late.forEach(clearTimeout);
    for (const upstream of upstreams.values()) upstream.close();
  });
  relay.port = door.address().port;
  return relay;
}
