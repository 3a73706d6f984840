// The host page's backend: serves the page, and mints tickets for it with the API key, which never leaves this process.
//
// Reading order: this file → lib/settings.mjs → lib/tickets.mjs → lib/assets.mjs → lib/map-data.mjs.

import { createServer } from 'node:http';
import { asset, loadAssets, send } from './lib/assets.mjs';
import { mapDots } from './lib/map-data.mjs';
import { readSettings } from './lib/settings.mjs';
import { answerTicket } from './lib/tickets.mjs';

const settings = readSettings(process.env);
const assets = loadAssets(settings);
const { issuer, tool, otherTool } = settings;
assets.set('/settings.json', asset('application/json', JSON.stringify({ issuer, tool, otherTool })));
assets.set('/map.bin', asset('application/octet-stream', mapDots(settings.cities)));

// Node looks for heads that take too long only every 30 s, unless it is told otherwise.
const limits = { headersTimeout: 5_000, requestTimeout: 30_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 16_384 };
const server = createServer(limits, (request, response) => {
  const path = (request.url ?? '/').split('?', 1)[0];
  const found = assets.get(path === '/' ? '/index.html' : path);
  if (path === '/bmap-ticket') {
    answerTicket(request, response, settings).catch((fault) => {
      console.error(`widget-page: ticket: ${fault.message}`);
      send(response, 502, 'text/plain', 'no ticket');
    });
  } else if (!found) send(response, 404, 'text/plain', 'not found');
  else if (request.method !== 'GET' && request.method !== 'HEAD') send(response, 405, 'text/plain', 'GET, please');
  else found.answer(request, response);
});

server.listen(settings.port, settings.host, () => {
  const { address, port } = server.address();
  console.log(`widget-page: listening on http://${address}:${port}`);
  console.log(`widget-page: open ${settings.origins[0]}/`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
