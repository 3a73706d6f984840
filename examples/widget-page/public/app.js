// The page, put together: session (the SDK), widget (search and map), inspector (what was signed), cheats.
//
// Reading order: this file → session.js → widget.js → inspector.js → cheats.js; map.js stands alone.

import { startCheats } from './cheats.js';
import { Inspector } from './inspector.js';
import { openSession } from './session.js';
import { startWidget } from './widget.js';

const settings = await fetch('/settings.json').then((answer) => answer.json());
const inspector = new Inspector();
const session = openSession(settings, (record) => inspector.show(record));

document.querySelector('#where-page').textContent = location.host;
document.querySelector('#where-issuer').textContent = new URL(settings.issuer).host;
session.onFirstUse((url) => (document.querySelector('#where-tool').textContent = new URL(url).host));

startCheats(session, settings);
await startWidget(session);
document.documentElement.dataset.ready = 'true';
