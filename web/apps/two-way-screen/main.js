import { start } from '../shared/app.js';

start({
  title: 'Two Way Video Chat & Screen',
  lead: 'You and one other person, with a screen to look at together.',
  layout: 'pair',
  capacity: 2,
  canShare: true,
  camera: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
});
