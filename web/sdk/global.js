// Puts the modules where classic scripts find them. Loaded by parlor.js.
import * as Parlor from './index.js';

const waiting = /** @type {any} */ (globalThis).Parlor;
const everything = { ...Parlor, ready: waiting?.ready };
Object.assign(globalThis, { Parlor: everything, RoomApi: Parlor.roomApi });
waiting?.loaded?.(everything);
