// ffmpeg and rtmpdump as encoders and players, and what is to be found in what they kept.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs a program until it ends by itself or is ended with the test. */
export function run(t, program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks = [];
  let said = '';
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  child.stderr.on('data', (chunk) => (said += chunk));
  const ended = once(child, 'close').then(([code]) => code);
  t.after(async () => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    said: () => said,
    /** Resolves at its end, with the code, what it printed, and what it said. */
    end: async () => ({ code: await ended, out: Buffer.concat(chunks), said }),
  };
}

/** An encoder with a colour, in which a white box moves, and a tone of its own. */
export function encode(t, url, { colour, tone, rate = 48_000, video = [], output = [] }) {
  return run(t, 'ffmpeg', [
    ...['-hide_banner', '-nostdin', '-re', '-f', 'lavfi', '-i', pictureOf(colour)],
    ...['-re', '-f', 'lavfi', '-i', `sine=frequency=${tone}:sample_rate=${rate}`],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-g', '50'],
    ...['-pix_fmt', 'yuv420p', ...video, '-c:a', 'aac', '-ar', String(rate), '-b:a', '128k'],
    ...output,
    ...['-f', 'flv', url],
  ]);
}

/** An encoder of VP8 without sound, which writes IVF in times of a millisecond. */
export function encodeVp8(t, { colour }) {
  return run(t, 'ffmpeg', [
    ...['-hide_banner', '-nostdin', '-re', '-f', 'lavfi', '-i', pictureOf(colour)],
    ...['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '500k', '-g', '25'],
    ...['-enc_time_base', '1/1000', '-f', 'ivf', 'pipe:1'],
  ]);
}

function pictureOf(colour) {
  const [r, g, b] = colour.match(/\d+/g).map((part) => Number(part).toString(16).padStart(2, '0'));
  return `color=c=0x${r}${g}${b}:s=320x240:r=25,drawbox=x=mod(t*100\\,300):y=100:w=16:h=40:c=white:t=fill`;
}

/** Paths of files that are gone with the test. */
export function fileNames(t, names) {
  const directory = mkdtempSync(join(tmpdir(), 'parlor-rtmp-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return names.map((name) => join(directory, name));
}

/** The streams of a file, each with its packets' times in seconds. */
export async function probe(t, file) {
  const args = ['-v', 'error', '-show_streams', '-show_packets', '-of', 'json', file];
  const { code, out, said } = await run(t, 'ffprobe', args).end();
  assert.equal(code, 0, said);
  const { streams, packets } = JSON.parse(out);
  return streams.map((stream) => ({
    ...stream,
    times: packets
      .filter((packet) => packet.stream_index === stream.index)
      .map((packet) => Number(packet.pts_time)),
  }));
}

/**
 * By how many seconds sound and picture move apart over a file, which holds them in the order in
 * which they came: how far the picture is ahead of the sound before it, early and late.
 */
export async function skew(t, file) {
  const args = ['-v', 'error', '-show_entries', 'packet=codec_type,pts_time', '-of', 'json', file];
  const { packets } = JSON.parse((await run(t, 'ffprobe', args).end()).out);
  let heard = 0;
  const ahead = [];
  for (const { codec_type: kind, pts_time: time } of packets) {
    if (kind === 'audio') heard = Number(time);
    else ahead.push(Number(time) - heard);
  }
  const third = Math.floor(ahead.length / 3);
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  return Math.abs(median(ahead.slice(-third)) - median(ahead.slice(0, third)));
}

/** Asserts that all of a file is decoded without an error, and gives its sound at 8 kHz. */
export async function decode(t, file) {
  // A camera's times are not those of a steady rate: two pictures may fall onto one step of it.
  const picture = ['-vsync', 'vfr', '-f', 'null', '-'];
  const args = ['-v', 'error', '-i', file, ...picture, '-vn', '-ac', '1', '-ar', '8000'];
  const { code, out, said } = await run(t, 'ffmpeg', [...args, '-f', 'f32le', 'pipe:1']).end();
  assert.equal(code, 0, said);
  assert.equal(said.trim(), '', 'it decodes without an error');
  return new Float32Array(out.buffer, out.byteOffset, Math.floor(out.byteLength / 4));
}

/** The frequency of a steady tone of 8 kHz samples, by its zero crossings. */
export function frequency(samples) {
  let crossings = 0;
  for (let i = 1; i < samples.length; i++) {
    if (samples[i - 1] < 0 && samples[i] >= 0) crossings++;
  }
  return (crossings * 8_000) / samples.length;
}

/** The mean colour of a file's last picture: red, green, blue. */
export async function colourOf(t, file) {
  const args = ['-v', 'error', '-i', file, '-vf', 'scale=1:1:flags=area', '-pix_fmt', 'rgb24'];
  const { out } = await run(t, 'ffmpeg', [...args, '-f', 'rawvideo', 'pipe:1']).end();
  return [...out.subarray(-3)];
}
