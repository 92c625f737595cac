// Runs in every page before its own scripts: remembers the peer connections, and lets a test see
// and hear what a person in front of the page would.

/** The function is sent to the browser as text: it can use nothing from outside itself. */
export function instrument({ ports, identity }) {
  // Read by the SDK's example pages, in place of 8080 and 8443.
  window.SERVER_PORTS = ports;

  const connections = new Set();
  const setLocalDescription = RTCPeerConnection.prototype.setLocalDescription;
  RTCPeerConnection.prototype.setLocalDescription = function (...args) {
    connections.add(this);
    return setLocalDescription.apply(this, args);
  };

  // In place of the fake camera and microphone, a colour and a tone of this participant's own, so
  // that a test can tell whose stream a tile shows. With `pulse` (ms) both are there for the first
  // third of each such time only: a test can tell how far they are apart.
  if (identity) {
    const { pulse } = identity;
    const isOn = () => !pulse || performance.now() % pulse < pulse / 3;
    const capture = async (constraints) => {
      const stream = new MediaStream();
      if (constraints.video) {
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [320, 240];
        const pen = canvas.getContext('2d');
        let turn = 0;
        setInterval(() => {
          pen.fillStyle = isOn() ? identity.colour : 'black';
          pen.fillRect(0, 0, 320, 240);
          pen.fillStyle = 'white';
          pen.fillRect((turn++ * 8) % 320, 100, 16, 40);
        }, pulse ? 20 : 50);
        canvas.captureStream(pulse ? 30 : 20).getTracks().forEach((track) => stream.addTrack(track));
      }
      if (constraints.audio) {
        const context = new AudioContext();
        const tone = new OscillatorNode(context, { frequency: identity.tone });
        const sink = context.createMediaStreamDestination();
        const gain = new GainNode(context, { gain: 0.5 });
        tone.connect(gain).connect(sink);
        tone.start();
        if (identity.pulse) setInterval(() => (gain.gain.value = isOn() ? 0.5 : 0), 10);
        // Without a click no context starts, and a page may ask for its preview before the first.
        context.resume();
        addEventListener('click', () => context.resume(), { capture: true, once: true });
        sink.stream.getTracks().forEach((track) => stream.addTrack(track));
      }
      return stream;
    };
    // The SDK calls the one form here and the other there.
    navigator.mediaDevices.getUserMedia = capture;
    navigator.webkitGetUserMedia = (constraints, done, failed) => {
      capture(constraints).then(done, failed);
    };
  }

  const samples = new WeakMap();

  /** The picture that stands in a video element at this moment. */
  function look(video) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [64, 48];
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    pen.drawImage(video, 0, 0, 64, 48);
    const { data } = pen.getImageData(0, 0, 64, 48);
    const count = data.length / 4;
    const mean = [0, 0, 0];
    const luma = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < 3; c++) mean[c] += data[4 * i + c] / count;
      luma[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    }
    const average = luma.reduce((sum, y) => sum + y, 0) / count;
    const variance = luma.reduce((sum, y) => sum + (y - average) ** 2, 0) / count;
    const before = samples.get(video);
    samples.set(video, luma);
    const differences = before ? luma.map((y, i) => Math.abs(y - before[i])) : [0];
    const change = differences.reduce((sum, each) => sum + each, 0) / count;
    return {
      width: video.videoWidth,
      height: video.videoHeight,
      paused: video.paused,
      muted: video.muted,
      mean: mean.map(Math.round),
      variance: Math.round(variance),
      change: Math.round(change * 100) / 100,
    };
  }

  const listeners = new WeakMap();

  /** How loud the element's stream is at `tone` hertz and beside it, in decibels. */
  function listen(video, tone) {
    let listener = listeners.get(video.srcObject);
    if (!listener) {
      const context = new AudioContext();
      const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      context.createMediaStreamSource(video.srcObject).connect(analyser);
      context.resume();
      listener = { context, analyser };
      listeners.set(video.srcObject, listener);
    }
    const { context, analyser } = listener;
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const width = context.sampleRate / analyser.fftSize;
    const near = Math.round(tone / width);
    const peak = Math.max(...bins.slice(near - 2, near + 3));
    const loudest = bins.indexOf(Math.max(...bins)) * width;
    return { peak: Math.round(peak), loudest: Math.round(loudest) };
  }

  /** The numbers of one direction of the connection that carries the element's stream. */
  async function report(connection, type) {
    const stats = await connection.getStats();
    const kinds = {};
    for (const entry of stats.values()) {
      if (entry.type !== type) continue;
      kinds[entry.kind] = {
        codec: stats.get(entry.codecId)?.mimeType,
        packets: entry.packetsReceived ?? entry.packetsSent ?? 0,
        lost: entry.packetsLost,
        frames: entry.framesDecoded ?? entry.framesEncoded,
        keyFrames: entry.keyFramesDecoded ?? entry.keyFramesEncoded,
        pli: entry.pliCount,
        nack: entry.nackCount,
        playing: entry.estimatedPlayoutTimestamp,
        recovered: entry.retransmittedPacketsReceived ?? entry.retransmittedPacketsSent,
        energy: entry.totalAudioEnergy,
        coder: entry.decoderImplementation ?? entry.encoderImplementation,
      };
    }
    return { state: connection.connectionState, ...kinds };
  }

  const find = (selector) => {
    const inside = document.querySelector(selector);
    return inside instanceof HTMLMediaElement ? inside : (inside?.querySelector('video') ?? null);
  };

  function connectionOf(video) {
    const tracks = new Set(video.srcObject.getTracks());
    return [...connections].find((each) =>
      each.getReceivers().some((receiver) => tracks.has(receiver.track)),
    );
  }

  window.parlorTest = {
    /** What one sees and hears of the video in `selector`; null when there is none. */
    async perceive(selector, tone) {
      const video = find(selector);
      if (!video?.srcObject) return null;
      const connection = connectionOf(video);
      return {
        picture: video.videoWidth > 0 ? look(video) : null,
        tone: tone ? listen(video, tone) : null,
        inbound: connection ? await report(connection, 'inbound-rtp') : null,
      };
    },
    /**
     * For `span` ms: when pulses of a picture and of its sound begin, in ms, and how much later than
     * its sound the picture is played by what the browser has been told of both.
     */
    async pulses(selector, span) {
      const video = find(selector);
      const pen = Object.assign(document.createElement('canvas'), { width: 8, height: 8 }).getContext(
        '2d',
        { willReadFrequently: true },
      );
      const begins = { picture: [], sound: [] };
      const was = { picture: true, sound: true };
      const note = (what, is, at) => {
        if (is && !was[what]) begins[what].push(at);
        was[what] = is;
      };
      let isOver = false;
      const onFrame = (_, { expectedDisplayTime }) => {
        pen.drawImage(video, 0, 0, 8, 8);
        // A corner: the bar is in the middle.
        const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
        note('picture', Math.max(red, green, blue) > 90, expectedDisplayTime);
        if (!isOver) video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
      const context = new AudioContext();
      await context.resume();
      const analyser = new AnalyserNode(context, { fftSize: 256 });
      context.createMediaStreamSource(video.srcObject).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        note('sound', samples.some((sample) => Math.abs(sample) > 0.05), performance.now());
      }, 4);
      await new Promise((resolve) => setTimeout(resolve, span));
      isOver = true;
      clearInterval(timer);
      await context.close();
      const { audio, video: picture } = await report(connectionOf(video), 'inbound-rtp');
      return { ...begins, told: audio.playing - picture.playing };
    },
    /** What this page sends, a report for each connection that sends. */
    async sent() {
      const sending = [...connections].filter(
        (each) => each.connectionState === 'connected' && each.getSenders().some((s) => s.track),
      );
      return Promise.all(sending.map((each) => report(each, 'outbound-rtp')));
    },
    connections,
  };
}
