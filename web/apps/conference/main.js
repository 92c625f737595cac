import { start } from '../shared/app.js';

start({
  title: 'Conference',
  lead: 'Everyone in the room, side by side. The room opens with the first one who joins.',
  layout: 'grid',
  capacity: Infinity,
  canShare: true,
  // Many pictures share one screen, and one network.
  camera: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } },
});
