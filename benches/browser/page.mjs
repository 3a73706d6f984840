import * as auth from '/auth/index.js';
import { glue } from '/auth/chunks/sdk-glue.js';
import * as dpop from '/dpop.js';
import { measure } from '/measure.mjs';

globalThis.run = async () => {
  const fresh = glue();
  const module = await WebAssembly.compileStreaming(fetch('/auth/sdk.wasm')).catch(async () =>
    WebAssembly.compile(await (await fetch('/auth/sdk.wasm')).arrayBuffer()),
  );
  fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
  return measure({ auth, glue: fresh, dpop });
};
