// Where things are, and where the tests leave what a person may want to look at.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the npm package. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** Screenshots and server logs of the last run; not in git. */
export const OUTPUT = join(ROOT, 'tests/output');
mkdirSync(OUTPUT, { recursive: true });

/** A file name for any title. */
export function slug(title) {
  return title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
}
