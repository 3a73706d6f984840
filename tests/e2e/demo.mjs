// The demo: everything running until Ctrl-C. `cargo xtask demo` builds and then becomes this.

import { startStack } from './lib/stack.mjs';

const stack = await startStack();
console.log(`
  The page      ${stack.page.url}/
  The issuer    ${stack.issuer}
  The tool      ${stack.tool.url}     counters: ${stack.tool.adminUrl}/metrics
  Data and logs ${stack.folder}

  Ctrl-C ends it all.
`);

let ending = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, async () => {
    if (ending) return;
    ending = true;
    await stack.stop();
    process.exit(0);
  });
}
setInterval(() => {}, 1 << 30);
