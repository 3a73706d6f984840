// Search box, results and map. It knows nothing of tokens: it calls `session.fetch` as it would call `fetch`.

import { DotMap } from './map.js';

const TYPING_PAUSE_MS = 220;
const NEARBY_KM = 60;
const regions = new Intl.DisplayNames(['en'], { type: 'region' });

export async function startWidget(session) {
  const form = document.querySelector('#search');
  const query = document.querySelector('#query');
  const list = document.querySelector('#results');
  const summary = document.querySelector('#summary');
  const map = new DotMap(document.querySelector('#map'), document.querySelector('#map-place'), (point) => near(point));
  let running = null;
  let pause = 0;

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(pause);
    search();
  });
  query.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(search, TYPING_PAUSE_MS);
  });
  document.querySelector('#zoom-in').addEventListener('click', () => map.zoom(1.8));
  document.querySelector('#zoom-out').addEventListener('click', () => map.zoom(1 / 1.8));
  document.querySelector('#zoom-world').addEventListener('click', () => map.world());

  async function search() {
    const text = query.value.trim();
    if (!text) return;
    const found = await ask(`/v1/search?${new URLSearchParams({ q: text, limit: '12' })}`);
    if (!found) return;
    render(found, found.length ? `${count(found)} for “${text}”` : `No place is called anything like “${text}”.`);
    map.show(found);
    if (found.length) choose(0);
  }

  async function near(point, name = 'this point') {
    const body = JSON.stringify({ lat: round(point.lat), lon: round(point.lon), radius_km: NEARBY_KM, limit: 15 });
    const found = await ask('/v1/nearby', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    if (!found) return;
    const where = `within ${NEARBY_KM} km of ${name}`;
    render(found, found.length ? `${count(found)} ${where}` : `Nothing ${where}.`);
    map.show(found, { ...point, radiusKm: NEARBY_KM });
    map.flyTo(point, 150);
  }

  // A newer question makes the older one's answer worthless, so it is called off.
  async function ask(path, init = {}) {
    running?.abort();
    const mine = (running = new AbortController());
    list.setAttribute('aria-busy', 'true');
    try {
      const answer = await session.fetch(path, { ...init, signal: mine.signal });
      const body = await answer.json();
      if (answer.ok) return body.results;
      summary.textContent = `The tool answers ${answer.status} ${body.code}.`;
    } catch (fault) {
      if (mine.signal.aborted) return null;
      summary.textContent = `No answer: ${fault.code ?? fault.message}.`;
    } finally {
      if (running === mine) list.removeAttribute('aria-busy');
    }
    return null;
  }

  function render(places, text) {
    summary.textContent = text;
    list.replaceChildren(
      ...places.map((place, index) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.append(
          span('name', place.name),
          span('where', [place.region, regions.of(place.country)].filter(Boolean).join(', ')),
          span('far', place.distance_km === undefined ? '' : `${place.distance_km.toFixed(1)} km`),
        );
        button.addEventListener('click', () => (button.getAttribute('aria-current') ? near(place, place.name) : choose(index)));
        const item = document.createElement('li');
        item.append(button);
        return item;
      }),
    );
  }

  function choose(index) {
    map.choose(index);
    for (const [at, button] of list.querySelectorAll('button').entries()) {
      if (at === index) {
        button.setAttribute('aria-current', 'true');
        button.title = 'Once more for what is near';
      } else {
        button.removeAttribute('aria-current');
        button.removeAttribute('title');
      }
    }
  }

  await map.load('/map.bin');
}

function span(name, text) {
  const element = document.createElement('span');
  element.className = name;
  element.textContent = text;
  return element;
}

const count = (places) => `${places.length} ${places.length === 1 ? 'place' : 'places'}`;
const round = (degrees) => Math.round(degrees * 1e5) / 1e5;
