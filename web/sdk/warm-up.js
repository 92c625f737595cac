// The first peer connection of a page is slow: browsers load their codecs with it.

/**
 * Lets the browser load what calls need, while the page has time. Safe to call at any time, and
 * never in vain but for a moment's work.
 */
export async function warmUp() {
  try {
    const connection = new RTCPeerConnection();
    connection.addTransceiver('audio', { direction: 'recvonly' });
    connection.addTransceiver('video', { direction: 'recvonly' });
    await connection.setLocalDescription(await connection.createOffer());
    connection.close();
  } catch {
    // Whatever is wrong is told when it matters.
  }
}
