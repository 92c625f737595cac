// Parts of the SDK and the apps that need neither a server nor a browser.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { focus, grid, pair } from '../apps/shared/layout.js';
import { Codecs } from '../sdk/codecs.js';
import { DeviceError, devices, QUALITY } from '../sdk/index.js';
import { qualityOf } from '../sdk/stats.js';

describe('what the browser refuses', () => {
  for (const [name, code, fix] of [
    ['NotAllowedError', 'DENIED', /Allow it/],
    ['NotFoundError', 'NOT_FOUND', /Plug one in/],
    ['NotReadableError', 'BUSY', /Close what else uses it/],
    ['OverconstrainedError', 'GONE', /Choose another one/],
    ['SecurityError', 'INSECURE', /https/],
    ['UnheardOfError', 'FAILED', /could not be opened/],
  ]) {
    test(`${name} is ${code}, with the fix in words`, () => {
      const error = DeviceError.from(new DOMException('no', name), 'camera');
      assert.equal(error.code, code);
      assert.match(error.message, fix);
      assert.doesNotMatch(error.message, /[{}]/);
    });
  }

  test('a page over plain http is told to come by https', async (t) => {
    globalThis.isSecureContext = false;
    t.after(() => delete globalThis.isSecureContext);
    await assert.rejects(devices.open({ audio: true }), { code: 'INSECURE', message: /https/ });
    const { media, errors } = await withMedia(() => devices.openAvailable({ audio: true }));
    assert.equal(media.getTracks().length, 0);
    assert.equal(errors.audio.code, 'INSECURE');
  });

  async function withMedia(run) {
    globalThis.MediaStream = class {
      getTracks = () => [];
    };
    try {
      return await run();
    } finally {
      delete globalThis.MediaStream;
    }
  }
});

describe('quality', () => {
  const fine = { connection: 'connected', roundTripMs: 20, audio: null, video: null };
  const video = (more) => ({ ...fine, video: { lossPercent: 0, limitedBy: 'none', ...more } });
  for (const [what, numbers, quality] of [
    ['nothing wrong', fine, QUALITY.GOOD],
    ['a call that begins', { ...fine, connection: 'connecting' }, QUALITY.GOOD],
    ['a broken connection', { ...fine, connection: 'disconnected' }, QUALITY.POOR],
    ['some loss', video({ lossPercent: 4 }), QUALITY.FAIR],
    ['much loss', video({ lossPercent: 12 }), QUALITY.POOR],
    ['a far server', { ...fine, roundTripMs: 300 }, QUALITY.FAIR],
    ['a picture that stood still', video({ frozenMs: 1_500 }), QUALITY.POOR],
    ['a narrow way out', video({ limitedBy: 'bandwidth' }), QUALITY.FAIR],
    ['a weak machine', video({ limitedBy: 'cpu' }), QUALITY.GOOD],
  ]) {
    test(`${what} is ${quality}`, () => assert.equal(qualityOf(numbers), quality));
  }
});

describe('complaints about codecs', () => {
  const sender = (name) => ({ getParameters: () => ({ codecs: [{ mimeType: `video/${name}` }] }) });
  const using = (name) => ({ video: sender(name) });

  test('narrow the choice to what all who complained can take', () => {
    const codecs = new Codecs();
    assert.ok(codecs.complain({ video: ['VP8', 'VP9', 'AV1'] }, using('H264')));
    assert.deepEqual([...codecs.allowed('video')], ['vp8', 'vp9', 'av1']);
    assert.ok(codecs.complain({ video: ['AV1', 'VP9'] }, using('VP8')));
    assert.deepEqual([...codecs.allowed('video')], ['av1', 'vp9']);
    assert.equal(codecs.complain({ video: ['H264'] }, using('AV1')), false);
    assert.deepEqual([...codecs.allowed('video')], ['av1', 'vp9']);
  });

  test('without sense change nothing', () => {
    const codecs = new Codecs();
    for (const payload of [undefined, null, {}, { video: 'VP8' }, { video: [] }, { video: [7] }]) {
      const changes = codecs.complain(payload, using('H264'));
      assert.equal(changes, Array.isArray(payload?.video) && payload.video.length > 0);
    }
  });
});

describe('layout', () => {
  const SIZES = [
    [1280, 700],
    [900, 660],
    [390, 700],
    [844, 300],
    [320, 480],
    [200, 200],
  ];

  function fits(rects, width, height) {
    for (const [i, a] of rects.entries()) {
      assert.ok(a.width > 20 && a.height > 20, `tile ${i} is ${a.width}×${a.height}`);
      assert.ok(a.left >= -0.5 && a.left + a.width <= width + 0.5, `tile ${i} is beside`);
      assert.ok(a.top >= -0.5 && a.top + a.height <= height + 0.5, `tile ${i} is outside`);
      for (const b of rects.slice(i + 1)) {
        const apart =
          a.left + a.width <= b.left + 0.5 ||
          b.left + b.width <= a.left + 0.5 ||
          a.top + a.height <= b.top + 0.5 ||
          b.top + b.height <= a.top + 0.5;
        assert.ok(apart, `tile ${i} is covered`);
      }
    }
  }

  for (const [width, height] of SIZES) {
    test(`a grid of 1 to 49 fits ${width}×${height}, or scrolls down`, () => {
      for (let count = 0; count < 50; count += 1) {
        const { rects, height: needed } = grid(count, width, height);
        assert.equal(rects.length, count);
        fits(rects, width, needed);
      }
    });

    test(`one large and up to seven small fit ${width}×${height}`, () => {
      for (let count = 0; count < 9; count += 1) {
        const { rects } = focus(count, width, height);
        assert.equal(rects.length, count);
        if (height > 250) fits(rects, width, height);
        for (const rect of rects.slice(1)) assert.ok(rect.width <= rects[0].width);
      }
    });
  }

  test('of two the small one lies within the large one', () => {
    const { rects } = pair(2, 1280, 700);
    const [large, small] = rects;
    assert.deepEqual(large, { left: 0, top: 0, width: 1280, height: 700 });
    assert.ok(small.left + small.width < 1280 && small.top + small.height < 700);
    assert.ok(small.width < 300);
  });
});
