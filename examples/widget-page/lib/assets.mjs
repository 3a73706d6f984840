// The page's files and the built `@bmap/auth`, read once at the start: a request can only name what is in the map.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export function loadAssets(settings) {
  if (!existsSync(join(settings.package, 'index.js'))) {
    throw new Error(`${settings.package} holds no built @bmap/auth: run \`cargo xtask npm\``);
  }
  const assets = new Map();
  for (const [folder, prefix] of [[settings.public, '/'], [settings.package, '/bmap-auth/']]) {
    for (const file of walk(folder)) {
      const type = TYPES[extname(file)];
      if (type) assets.set(prefix + relative(folder, file).split(sep).join('/'), asset(type, readFileSync(file), settings.csp));
    }
  }
  return assets;
}

/** An asset that knows its ETag, so that a reload costs no bytes. */
export function asset(type, body, csp) {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return {
    answer(request, response) {
      response.setHeader('etag', etag);
      response.setHeader('cache-control', 'no-cache');
      if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
      else send(response, 200, type, body, csp);
    },
  };
}

export function send(response, status, type, body, csp = "default-src 'none'") {
  if (!response.hasHeader('cache-control')) response.setHeader('cache-control', 'no-store');
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'content-security-policy': csp,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    // Together these isolate the page, and an isolated page's clock counts in microseconds: the panel shows how long signing takes.
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
  });
  response.end(body);
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}
