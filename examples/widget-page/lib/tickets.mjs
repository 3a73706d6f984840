// `POST /bmap-ticket`: one ticket for the page's own script.
//
// The ticket is what this backend vouches for: this tool, this origin, this visitor. It is single-use and lives two minutes; the page's
// script swaps it for a token at the issuer. The API key stays here.

import { createHash, randomBytes } from 'node:crypto';
import { send } from './assets.mjs';

const COOKIE = 'page_session';

export async function answerTicket(request, response, settings) {
  if (request.method !== 'POST') return send(response, 405, 'text/plain', 'POST, please');
  // A page on another origin can make a visitor's browser send this request, cookie and all, but not under our origin's name.
  const { origin } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (!settings.origins.includes(origin) || (site !== undefined && site !== 'same-origin')) {
    return send(response, 403, 'text/plain', 'tickets are for this page only');
  }
  const tool = new URL(request.url, 'http://page.invalid').searchParams.get('tool') ?? settings.tool;
  if (tool !== settings.tool && tool !== settings.otherTool) return send(response, 403, 'text/plain', 'not a tool of this page');

  const session = sessionOf(request) ?? openSession(response, origin);
  const ticket = await mint(settings, { tool, origin, end_user: visitorOf(session) });
  send(response, 200, 'text/plain', ticket);
}

async function mint(settings, wanted) {
  const answer = await fetch(`${settings.issuer}/tickets`, {
    method: 'POST',
    redirect: 'error',
    headers: {
      authorization: `Basic ${Buffer.from(`${settings.keyId}:${settings.keySecret}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(wanted),
    signal: AbortSignal.timeout(5_000),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`the issuer answers ${answer.status} ${body.code ?? ''}`);
  return body.ticket;
}

function sessionOf(request) {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  const value = pairs.find(([name]) => name === COOKIE)?.[1];
  return /^[\w-]{22}$/.test(value ?? '') ? value : undefined;
}

function openSession(response, origin) {
  const session = randomBytes(16).toString('base64url');
  const secure = origin.startsWith('https:') ? '; Secure' : '';
  response.setHeader('set-cookie', `${COOKIE}=${session}; Path=/; HttpOnly; SameSite=Strict${secure}`);
  return session;
}

// A real page would put its own user id here. The hash lets the tool tell visitors apart without learning the session.
function visitorOf(session) {
  return `visitor-${createHash('sha256').update(session).digest('hex').slice(0, 10)}`;
}
