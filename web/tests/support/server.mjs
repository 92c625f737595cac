// Starts the real server for a test, on loopback and on ports of the system's choice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from './participant.mjs';
import { OUTPUT, ROOT, slug } from './paths.mjs';

/** The program. */
export const BINARY = resolve(ROOT, '..', process.env.PARLOR_BIN ?? 'target/debug/parlor');
/** The published SDK, with its example pages, exactly as npm delivers it. */
export const SDK_ROOT = join(ROOT, 'node_modules/@flashphoner/websdk');

const START_MS = 15_000;
const STOP_MS = 10_000;
const EMPTY_MS = 10_000;

const GAUGES = ['rooms', 'participants', 'publications', 'subscriptions', 'peers', 'relays'];
/** What no browser with the published SDK may ever be counted for. */
const FAULTS = [
  'codec_panics_total',
  'contained_panics_total',
  'dtls_failed_total',
  'failed_peers_total',
  'malformed_datagrams_total',
  'media_send_errors_total',
  'refused_feedback_total',
  'signalling_message_faults_total',
  'signalling_messages_unknown_total',
  'signalling_not_reading_total',
  'signalling_rate_limited_total',
  'signalling_sent_away_total',
  'signalling_websocket_faults_total',
  'sound_undecodable_total',
  'worker_busy_total',
];

/**
 * Starts `parlor serve` for the suite or test `t`, and stops it when that ends.
 *
 * @param {object} t anything with `after`: a test context, or the `node:test` module's hooks.
 * @param {string} name names the log kept in `tests/output`.
 * @param {string[]} flags come after the defaults of these tests.
 * @param {string} address the loopback address of pages and media.
 */
export async function startServer(t, name, flags = [], address = '127.0.0.1') {
  const host = address.includes(':') ? `[${address}]` : address;
  const state = mkdtempSync(join(tmpdir(), 'parlor-test-'));
  const log = createWriteStream(join(OUTPUT, `${slug(name)}.server.log`));
  const child = spawn(
    BINARY,
    [
      ...['serve', '--listen', `${host}:0`, '--tls-listen', `${host}:0`],
      ...['--rtmp-listen', `${host}:0`],
      ...['--media-port', '0', '--public-ip', address],
      ...['--state-dir', state],
      ...(flags.includes('--web-root') ? [] : ['--web-root', SDK_ROOT]),
      ...['--log', process.env.PARLOR_TEST_LOG ?? 'parlor=debug,parlor_core=debug'],
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: state },
  );
  const exited = once(child, 'exit');
  process.once('exit', () => child.kill('SIGKILL'));
  let text = '';
  const collect = (chunk) => {
    text += chunk;
    log.write(chunk);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);

  let stopped = false;
  async function stop({ inUse = false } = {}) {
    if (stopped) return;
    stopped = true;
    try {
      if (!inUse) await isEmpty(metrics);
    } finally {
      await end();
    }
  }

  async function end() {
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    const [code, signal] = await exited;
    clearTimeout(timer);
    log.end();
    rmSync(state, { recursive: true, force: true });
    assert.equal(signal, null, `the server did not stop within ${STOP_MS} ms of Ctrl-C\n${text}`);
    assert.equal(code, 0, `the server exited with ${code}\n${text}`);
    assert.doesNotMatch(text, /panicked at/, 'the server panicked');
  }
  t.after(() => stop());

  const pageAddress = /http:\/\/localhost:(\d+)\//;
  const tlsAddress = /https:\/\/localhost:(\d+)\//;
  const deadline = Date.now() + START_MS;
  while (!text.includes('Ctrl-C stops it')) {
    const gone = child.exitCode !== null || child.signalCode !== null;
    if (gone) stopped = true;
    assert.ok(!gone, `the server exited at start with ${child.exitCode}\n${text}`);
    assert.ok(Date.now() < deadline, `the server was not ready in ${START_MS} ms\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const port = Number(pageAddress.exec(text)[1]);
  const tlsPort = Number(tlsAddress.exec(text)[1]);
  /** The value of a metric, by its name without the prefix. */
  async function metrics() {
    const response = await fetch(`http://${host}:${port}/metrics`);
    const lines = (await response.text()).split('\n').filter((line) => /^parlor_/.test(line));
    return Object.fromEntries(
      lines.map((line) => line.split(' ')).map(([key, value]) => [key.slice(7), Number(value)]),
    );
  }
  const rtmpPort = Number(/rtmp:\/\/\S+?:(\d+)\/ROOM/.exec(text)?.[1]);
  const mediaPort = Number(/Media \(UDP\):?\s+\S+:(\d+)/.exec(text)?.[1]);
  return {
    port,
    tlsPort,
    mediaPort,
    rtmpPort,
    http: `http://localhost:${port}`,
    https: `https://localhost:${tlsPort}`,
    ws: `ws://localhost:${port}`,
    wss: `wss://localhost:${tlsPort}`,
    rtmp: `rtmp://${host}:${rtmpPort}`,
    rtmps: `rtmps://${host}:${rtmpPort}`,
    log: () => text,
    metrics,
    stop,
  };
}

/** When everyone has gone, nothing of them is left, and no fault of theirs was counted. */
async function isEmpty(metrics) {
  let now;
  const left = () => GAUGES.filter((gauge) => now[gauge] !== 0);
  await eventually(
    'the server is empty',
    async () => ((now = await metrics()), left().length === 0),
    { within: EMPTY_MS, detail: () => JSON.stringify(now, null, 1) },
  );
  const faults = FAULTS.filter((fault) => now[fault] !== 0);
  assert.deepEqual(faults, [], `counted against well-behaved browsers:\n${JSON.stringify(now)}`);
}
