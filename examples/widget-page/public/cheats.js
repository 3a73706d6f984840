// Five ways to cheat. Each takes a properly signed request, made by the SDK and held back, and sends something else with plain `fetch`.

const SOFIA = { lat: 42.69751, lon: 23.32415, limit: 3 };
const JSON_TYPE = { 'content-type': 'application/json' };
const nearby = (point) => ({ method: 'POST', headers: JSON_TYPE, body: JSON.stringify(point) });

const CHEATS = [
  {
    id: 'changed-body',
    title: 'Changed body',
    what: 'Signed for Sofia, sent with the coordinates of Paris.',
    async run(session) {
      const signed = await session.signOnly('/v1/nearby', nearby(SOFIA));
      return session.send({ ...signed, body: JSON.stringify({ ...SOFIA, lat: 48.85341, lon: 2.3488 }) });
    },
  },
  {
    id: 'changed-query',
    title: 'Changed query',
    what: 'Signed for q=Sofia, sent as q=Varna.',
    async run(session) {
      const signed = await session.signOnly('/v1/search?q=Sofia');
      return session.send({ ...signed, url: signed.url.replace('Sofia', 'Varna') });
    },
  },
  {
    id: 'replay',
    title: 'Same bytes twice',
    what: 'A request that was let in, sent once more without a change.',
    async run(session) {
      const signed = await session.signOnly('/v1/search?q=Sofia');
      await session.send(signed);
      return session.send(signed);
    },
  },
  {
    id: 'other-tool',
    title: 'Token for another tool',
    what: 'A valid token of this page for a second tool, used at this one.',
    async run(session, settings) {
      return session.send(await session.signOnly('/v1/search?q=Sofia', {}, settings.otherTool));
    },
  },
  {
    id: 'no-signature',
    title: 'No signature',
    what: 'The token alone, as a bearer would send it.',
    async run(session) {
      const { url, method, headers } = await session.signOnly('/v1/search?q=Sofia');
      return session.send({ url, method, headers: { authorization: headers.authorization } });
    },
  },
];

export function startCheats(session, settings) {
  document.querySelector('#cheats').replaceChildren(
    ...CHEATS.filter(({ id }) => id !== 'other-tool' || settings.otherTool).map((cheat) => card(cheat, session, settings)),
  );
}

function card(cheat, session, settings) {
  const item = document.createElement('li');
  const title = Object.assign(document.createElement('h3'), { textContent: cheat.title, id: `cheat-${cheat.id}-title` });
  const what = Object.assign(document.createElement('p'), { textContent: cheat.what });
  const button = Object.assign(document.createElement('button'), { type: 'button', id: `cheat-${cheat.id}`, textContent: 'Try it' });
  button.setAttribute('aria-describedby', title.id);
  const output = document.createElement('output');
  output.setAttribute('for', button.id);
  button.addEventListener('click', async () => {
    button.disabled = true;
    output.className = '';
    output.textContent = '…';
    try {
      report(output, await cheat.run(session, settings));
    } catch (fault) {
      output.textContent = `could not be tried: ${fault.code ?? fault.message}`;
    } finally {
      button.disabled = false;
    }
  });
  item.append(title, what, button, output);
  return item;
}

function report(output, { status, code, title }) {
  const refused = status >= 400;
  output.className = refused ? 'refused' : 'accepted';
  output.dataset.code = code ?? '';
  const headline = Object.assign(document.createElement('b'), { textContent: refused ? `Refused: ${status} ${code}` : `Let in: ${status}` });
  output.replaceChildren(headline, title ?? '');
}
