// A classic script: the SDK is the global `Parlor`, and `RoomApi` as in the published one.
'use strict';

window.addEventListener('load', () => {
  const result = document.querySelector('#result');
  window.RoomApi.connect({ username: 'alice' })
    .on('ESTABLISHED', (session) => {
      result.textContent = `${session.status()} as ${session.username()}`;
      session.disconnect();
    })
    .on('FAILED', (session) => {
      result.textContent = session.error().message;
    });
});
