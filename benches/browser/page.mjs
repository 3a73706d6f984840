import * as auth from '/auth/index.js';
import { glue } from '/auth/chunks/sdk-glue.js';
import * as dpop from '/dpop.js';
import { measure } from '/measure.mjs';
import { glue as vectors } from '/vectors/vectors-glue.js';

globalThis.run = async () => {
  const start = async (fresh, file) => {
    const module = await WebAssembly.compile(await (await fetch(file)).arrayBuffer());
    fresh.finish(await WebAssembly.instantiate(module, fresh.imports()), module);
    return fresh;
  };
  const { Mac } = await start(vectors(), '/vectors/vectors.wasm');
  return measure({ auth, glue: await start(glue(), '/auth/sdk.wasm'), Mac, dpop });
};
