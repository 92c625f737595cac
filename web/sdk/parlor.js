// The SDK as one classic script:
//
//   <script src="/sdk/parlor.js"></script>
//   <script>Parlor.ready.then(({ roomApi }) => roomApi.connect({ username: 'alice' }))</script>
//
// `Parlor` and `RoomApi` are complete when `Parlor.ready` is fulfilled, and in any case when the
// page's `load` event fires: the modules that this loads hold it back.
'use strict';

(() => {
  const here = /** @type {HTMLScriptElement} */ (document.currentScript);
  const modules = document.createElement('script');
  const ready = new Promise((loaded, failed) => {
    Object.assign(window, { Parlor: { loaded, get ready() { return ready; } } });
    modules.onerror = () => failed(new Error('The modules of the SDK could not be loaded'));
  });
  modules.type = 'module';
  modules.src = new URL('global.js', here.src).href;
  here.after(modules);
})();
