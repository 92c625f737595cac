// Starts the real server for a test, on loopback and on ports of the system's choice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OUTPUT, ROOT, slug } from './paths.mjs';

const BINARY = resolve(ROOT, '..', process.env.PARLOR_BIN ?? 'target/debug/parlor');
/** The published SDK, with its example pages, exactly as npm delivers it. */
export const SDK_ROOT = join(ROOT, 'node_modules/@flashphoner/websdk');

const START_MS = 15_000;
const STOP_MS = 10_000;

/**
 * Starts `parlor serve` for the suite or test `t`, and stops it when that ends.
 *
 * @param {object} t anything with `after`: a test context, or the `node:test` module's hooks.
 * @param {string} name names the log kept in `tests/output`.
 * @param {string[]} flags come after the defaults of these tests.
 * @param {string} address the loopback address of pages and media.
 */
export async function startServer(t, name, flags = [], address = '127.0.0.1') {
  const bind = (ip) => (ip.includes(':') ? `[${ip}]:0` : `${ip}:0`);
  const state = mkdtempSync(join(tmpdir(), 'parlor-test-'));
  const log = createWriteStream(join(OUTPUT, `${slug(name)}.server.log`));
  const child = spawn(
    BINARY,
    [
      ...['serve', '--listen', bind(address), '--tls-listen', bind(address)],
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
  async function stop() {
    if (stopped) return;
    stopped = true;
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
  t.after(stop);

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
  const mediaPort = Number(/Media \(UDP\):?\s+\S+:(\d+)/.exec(text)?.[1]);
  return {
    port,
    tlsPort,
    mediaPort,
    http: `http://localhost:${port}`,
    https: `https://localhost:${tlsPort}`,
    ws: `ws://localhost:${port}`,
    wss: `wss://localhost:${tlsPort}`,
    log: () => text,
    stop,
  };
}
