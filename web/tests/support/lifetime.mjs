// What a whole file or suite shares is started in `before` hooks; node would end what a hook
// registers with the hook itself.
import { after } from 'node:test';

/** Ends what was registered, last first, when the file or suite that called this ends. */
export function lifetime() {
  const ends = [];
  after(async () => {
    const faults = [];
    for (const end of ends.reverse()) {
      try {
        await end();
      } catch (fault) {
        faults.push(fault);
      }
    }
    if (faults.length > 0) throw faults[0];
  });
  return { after: (end) => ends.push(end) };
}
