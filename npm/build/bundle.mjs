// src → dist: ES modules with the WebAssembly in chunks that are loaded when needed.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';

const NO_DIRECT = `
import { BmapError } from '${new URL('../src/errors.ts', import.meta.url).pathname}';
export function direct() { throw new BmapError('bad_options', 'apiKey: @bmap/auth/static takes none; import @bmap/auth'); }
`;
const output = { dir: 'dist', format: 'esm', minify: true, sourcemap: true, chunkFileNames: 'chunks/[name].js' };

// Browsers, bundlers and Node.
const main = await rolldown({ input: { index: 'src/index.ts', inspect: 'src/inspect.ts' }, platform: 'neutral' });
await main.write({
  ...output,
  codeSplitting: {
    groups: [
      // What a page loads at once, and what its first request loads.
      { name: 'core', test: /\/src\/(client|request|body\/body|body\/content|abort|errors|problem|answer|init)\.ts$/ },
      { name: 'engine', test: /\/src\/(engine|fetch|target|issuer|tokens|sign|clock|digest|text|wait|wasm|policy|explain)\.ts$/ },
    ],
  },
});
await main.close();
for (const module of ['sdk', 'direct', 'inspect']) {
  // A source map of bytes is of no use.
  const chunk = `dist/chunks/${module}-bytes.js`;
  writeFileSync(chunk, readFileSync(chunk, 'utf8').replace(/\/\/# sourceMappingURL=.*\n?/, ''));
  rmSync(`${chunk}.map`);
}

// Service workers have no import(): everything that a page needs in one file. API keys are for backends, so their part stays out.
const whole = await rolldown({
  input: { static: 'src/index.ts' },
  platform: 'neutral',
  plugins: [
    {
      name: 'without-api-keys',
      resolveId: (id) => (id === './direct.js' ? '\0no-direct' : undefined),
      load: (id) => (id === '\0no-direct' ? NO_DIRECT : undefined),
    },
  ],
});
await whole.write({ ...output, sourcemap: false, codeSplitting: false });
await whole.close();

// Edge platforms refuse to compile bytes at run time: there the modules are imported, and the platform compiles them on upload.
for (const [name, suffix] of [['workerd', ''], ['edge-light', '?module']]) {
  const edge = await rolldown({
    input: { [`index.${name}`]: 'src/index.ts' },
    platform: 'neutral',
    makeAbsoluteExternalsRelative: false,
    plugins: [
      {
        name: 'compiled-by-the-platform',
        resolveId(id) {
          const module = /\/(\w+)-bytes\.js$/.exec(id)?.[1];
          if (module) return `\0compiled:${module}`;
          if (id.startsWith('./') && id.includes('.wasm')) return { id, external: true };
        },
        load(id) {
          const module = id.startsWith('\0compiled:') && id.slice('\0compiled:'.length);
          if (module) return `import compiled from './${module}.wasm${suffix}';\nexport default compiled;`;
        },
      },
    ],
  });
  await edge.write({ ...output, sourcemap: false, codeSplitting: false });
  await edge.close();
}

for (const module of ['sdk', 'direct']) copyFileSync(`src/wasm/${module}.wasm`, `dist/${module}.wasm`);

// What tsc does not write: the types that wasm-bindgen did.
mkdirSync('dist/types/wasm', { recursive: true });
for (const module of ['sdk', 'direct', 'inspect']) {
  copyFileSync(`src/wasm/${module}-glue.d.ts`, `dist/types/wasm/${module}-glue.d.ts`);
}
