import { start } from '../shared/app.js';

start({
  title: 'Two Way Video Chat',
  lead: 'You and one other person. The room opens with the first one who joins.',
  layout: 'pair',
  capacity: 2,
  canShare: false,
  camera: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
});
