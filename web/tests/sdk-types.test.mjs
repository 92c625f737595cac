// The types in the comments of the SDK and the apps hold.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { ROOT } from './support/paths.mjs';

test('the type checker finds no fault in the SDK and the apps', () => {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', ROOT], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout);
});
