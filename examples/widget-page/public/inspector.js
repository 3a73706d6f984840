// The panel beside the widget: what the latest request was signed over, how long that took, and what the verifier said.

const HISTORY = 7;
const SHORT = 28;

export class Inspector {
  #records = [];
  #expires = null;
  #granted = 0;

  constructor() {
    setInterval(() => this.#age(), 500);
  }

  /** @param record one request: see `session.js`, which makes it */
  show(record) {
    this.#records = [record, ...this.#records].slice(0, HISTORY);
    const url = new URL(record.url);
    const [method, target] = byId('request-line').querySelectorAll('span');
    method.textContent = record.method;
    target.textContent = url.pathname + url.search;

    byId('verdict').textContent = verdictText(record);
    byId('verdict').className = `verdict ${verdictClass(record)}`;
    figure('time-sign', record.signMicros, 'µs', 0);
    figure('time-network', record.networkMillis, 'ms', 1);
    figure('time-share', (record.signMicros / 1000 / record.networkMillis) * 100, '%', 1);

    byId('components').replaceChildren(...components(record).map(([name, value]) => row(name, value)));
    byId('headers').textContent = Object.entries(record.headers).map(([name, value]) => `${name}: ${value}`).join('\n');
    this.#token(record);
    byId('history').replaceChildren(...this.#records.map(historyItem));
  }

  #token({ claims }) {
    if (!claims) return;
    this.#expires = claims.expiresAt;
    this.#granted = claims.exp - claims.iat;
    byId('claims').replaceChildren(
      ...Object.entries({
        tool: claims.aud,
        origin: claims.origin ?? 'none: a direct token',
        assurance: `${claims.asr} – ${ASSURANCE[claims.asr] ?? ''}`,
        visitor: claims.end_user ?? 'not named',
        'token id': claims.jti,
      }).flatMap(([name, value]) => [element('dt', name), element('dd', value)]),
    );
    this.#age();
  }

  #age() {
    if (this.#expires === null) return;
    const left = Math.max(0, Math.round((this.#expires - performance.now()) / 1000));
    byId('life').max = this.#granted;
    byId('life').value = left;
    byId('life-label').textContent = left ? `${left} s left of ${this.#granted}` : 'ended; the next call renews it';
  }
}

const ASSURANCE = {
  server: 'this page’s backend vouched for the visitor',
  user: 'the visitor is logged in',
  origin: 'only the browser’s word for the page',
};

/** What the signature covers, in its own order, each with the value as it was signed. */
function components({ method, url, headers }) {
  const { host, pathname, search } = new URL(url);
  const input = headers['signature-input'] ?? '';
  const names = [...(input.match(/^bmap=\(([^)]*)\)/)?.[1] ?? '').matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  const derived = { '@method': method, '@authority': host, '@path': pathname, '@query': search || '?' };
  const parameters = input.replace(/^bmap=\([^)]*\);?/, '').split(';').filter(Boolean);
  return [
    ...names.map((name) => [name, shorten(derived[name] ?? headers[name] ?? '')]),
    ...parameters.map((parameter) => parameter.split(/=(.*)/s, 2)).map(([name, value]) => [name, value.replaceAll('"', '')]),
  ];
}

function historyItem(record) {
  const item = element('li', '');
  const url = new URL(record.url);
  const verdict = element('span', verdictText(record));
  verdict.className = verdictClass(record);
  const what = element('span', `${record.method} ${decodeURIComponent(url.pathname + url.search)}`);
  what.className = 'what';
  what.title = what.textContent;
  item.append(what, verdict);
  return item;
}

function verdictText({ status, code }) {
  if (status === undefined) return code;
  return status < 400 ? `${status} let in` : `${status} ${code}`;
}

const verdictClass = ({ status }) => (status !== undefined && status < 400 ? 'good' : 'bad');
const shorten = (text) => (text.length > SHORT ? `${text.slice(0, SHORT - 11)}…${text.slice(-10)}` : text);
const byId = (id) => document.getElementById(id);

function figure(id, value, unit, digits) {
  const small = element('small', unit);
  byId(id).replaceChildren(Number.isFinite(value) ? value.toFixed(digits) : '–', small);
}

function row(name, value) {
  const line = document.createElement('tr');
  const head = element('th', name);
  head.scope = 'row';
  line.append(head, element('td', value));
  return line;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
