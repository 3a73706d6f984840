// The map: every town of the data as a dot, drawn by ourselves. No tiles, nothing from the network but the dots.
//
// The projection is equirectangular with the standard parallel at the middle of the view, so that shapes look right where one looks.

const WORLD = { lat: 11, lon: 12 };
const CLOSEST = 260; // pixels for a degree of latitude
const ROUND_DOTS = 60; // from this scale on
const KM_PER_DEGREE = 111.2;

export class DotMap {
  #canvas;
  #context;
  #dots = new Uint16Array();
  #view = { ...WORLD, scale: 1 };
  #places = [];
  #chosen = -1;
  #around = null;
  #label;
  #onPoint;
  #flight = 0;
  #pixels = null;
  #drawing = 0;

  /** @param {HTMLCanvasElement} canvas @param {HTMLElement} label @param {(point: {lat: number, lon: number}) => void} onPoint */
  constructor(canvas, label, onPoint) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    this.#label = label;
    this.#onPoint = onPoint;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
    this.#listen();
  }

  async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    this.#dots = new Uint16Array(await answer.arrayBuffer());
    this.#draw();
  }

  /** Marks places, and the circle that they were looked for in. */
  show(places, around = null) {
    this.#places = places;
    this.#around = around;
    this.#chosen = -1;
    this.#draw();
  }

  choose(index) {
    this.#chosen = index;
    const place = this.#places[index];
    if (place) this.flyTo(place, Math.max(this.#view.scale, 34));
  }

  world() {
    this.flyTo(WORLD, this.#worldScale());
  }

  zoom(factor) {
    this.flyTo(this.#view, this.#view.scale * factor);
  }

  /** Moves the middle of the view, in one glide unless the visitor prefers less motion. */
  flyTo({ lat, lon }, scale) {
    const from = { ...this.#view };
    const to = { lat, lon, scale: clamp(scale, this.#worldScale(), CLOSEST) };
    const turn = shortestTurn(to.lon - from.lon);
    const start = performance.now();
    const length = matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 520;
    cancelAnimationFrame(this.#flight);
    const step = (now) => {
      const part = length === 0 ? 1 : clamp((now - start) / length, 0, 1);
      const eased = 1 - (1 - part) ** 3;
      this.#view = {
        lat: from.lat + (to.lat - from.lat) * eased,
        lon: normalise(from.lon + turn * eased),
        scale: from.scale * (to.scale / from.scale) ** eased,
      };
      this.#draw();
      if (part < 1) this.#flight = requestAnimationFrame(step);
    };
    step(start);
  }

  // The inhabited world, from 62° S to 84° N, fills the frame; what does not fit its width is reached by moving.
  #worldScale() {
    const { clientWidth, clientHeight } = this.#canvas;
    return Math.max(clientWidth / (360 * Math.cos(radians(WORLD.lat))), clientHeight / 146) || 1;
  }

  #resize() {
    const wasWorld = this.#pixels === null || this.#view.scale <= this.#worldScale() * 1.01;
    const ratio = devicePixelRatio || 1;
    this.#canvas.width = Math.max(1, Math.round(this.#canvas.clientWidth * ratio));
    this.#canvas.height = Math.max(1, Math.round(this.#canvas.clientHeight * ratio));
    this.#pixels = this.#context.createImageData(this.#canvas.width, this.#canvas.height);
    if (wasWorld) this.#view.scale = this.#worldScale();
    this.#draw();
  }

  #draw() {
    if (this.#drawing || !this.#pixels) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      const style = getComputedStyle(this.#canvas);
      const colour = (name) => style.getPropertyValue(name).trim();
      if (this.#view.scale < ROUND_DOTS) this.#drawDots(colour('--map-dot').split(' ').map(Number));
      else this.#drawRoundDots(colour('--map-dot'));
      this.#drawMarks(colour('--map-mark'), colour('--map-ring'), colour('--ink'), colour('--map-back'), style.fontFamily);
    });
  }

  // 169,000 dots: written as pixels, since as many calls of the canvas would take longer than a frame.
  #drawDots([red, green, blue]) {
    const { width, height, data } = this.#pixels;
    const ratio = devicePixelRatio || 1;
    const { lat, lon, scale } = this.#view;
    const perLat = scale * ratio;
    const perLon = perLat * Math.cos(radians(lat));
    const size = clamp(Math.round(ratio * (0.6 + scale / 26)), 1, 4 * ratio);
    // Far out, many places share a pixel and their strength adds up to a picture of where people live.
    const strength = clamp(24 + scale * 5.5, 24, 168);
    data.fill(0);
    for (let at = 0; at < this.#dots.length; at += 2) {
      const y = Math.round(height / 2 - (this.#dots[at] / 100 - 90 - lat) * perLat);
      if (y < 0 || y >= height - size) continue;
      let east = this.#dots[at + 1] / 100 - 180 - lon;
      if (east > 180) east -= 360;
      else if (east < -180) east += 360;
      const x = Math.round(width / 2 + east * perLon);
      if (x < 0 || x >= width - size) continue;
      for (let row = 0; row < size; row++) {
        for (let column = 0; column < size; column++) {
          const pixel = ((y + row) * width + x + column) * 4;
          data[pixel] = red;
          data[pixel + 1] = green;
          data[pixel + 2] = blue;
          data[pixel + 3] = Math.min(235, data[pixel + 3] + strength);
        }
      }
    }
    this.#context.putImageData(this.#pixels, 0, 0);
  }

  // Close up few are left, and they can be round.
  #drawRoundDots(colour) {
    const context = this.#context;
    const { width, height } = this.#canvas;
    const ratio = devicePixelRatio || 1;
    const { lat, lon, scale } = this.#view;
    const perLat = scale * ratio;
    const perLon = perLat * Math.cos(radians(lat));
    const radius = ratio * Math.min(2.6, 1 + scale / 110);
    context.clearRect(0, 0, width, height);
    context.beginPath();
    for (let at = 0; at < this.#dots.length; at += 2) {
      const y = height / 2 - (this.#dots[at] / 100 - 90 - lat) * perLat;
      if (y < -radius || y > height + radius) continue;
      const x = width / 2 + shortestTurn(this.#dots[at + 1] / 100 - 180 - lon) * perLon;
      if (x < -radius || x > width + radius) continue;
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
    context.fillStyle = `rgb(${colour} / 62%)`;
    context.fill();
  }

  #drawMarks(mark, ring, ink, halo, family) {
    const context = this.#context;
    const ratio = devicePixelRatio || 1;
    context.save();
    context.scale(ratio, ratio);
    if (this.#around) {
      const { x, y } = this.#toPixels(this.#around);
      const ry = (this.#around.radiusKm / KM_PER_DEGREE) * this.#view.scale;
      context.beginPath();
      context.ellipse(x, y, ry, ry, 0, 0, 2 * Math.PI);
      context.strokeStyle = ring;
      context.lineWidth = 1.5;
      context.setLineDash([4, 4]);
      context.stroke();
      context.setLineDash([]);
      context.beginPath();
      context.arc(x, y, 2.5, 0, 2 * Math.PI);
      context.fillStyle = ring;
      context.fill();
    }
    const taken = [];
    context.font = `600 12px ${family}`;
    // The chosen place first: its label has the first claim on space.
    const order = this.#places.map((_, index) => index).sort((a, b) => Number(b === this.#chosen) - Number(a === this.#chosen));
    for (const index of [...order].reverse()) this.#drawMark(this.#places[index], index === this.#chosen, mark, halo);
    for (const index of order) this.#drawLabel(this.#places[index], ink, halo, taken);
    context.restore();
  }

  #drawMark(place, chosen, mark, halo) {
    const { x, y } = this.#toPixels(place);
    const context = this.#context;
    context.beginPath();
    context.arc(x, y, chosen ? 7 : 4.5, 0, 2 * Math.PI);
    context.fillStyle = mark;
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = halo;
    context.stroke();
  }

  #drawLabel(place, ink, halo, taken) {
    const { x, y } = this.#toPixels(place);
    const context = this.#context;
    const box = { left: x + 9, right: x + 13 + context.measureText(place.name).width, top: y - 8, bottom: y + 8 };
    const inside = box.left > 0 && box.right < this.#canvas.clientWidth && box.top > 0 && box.bottom < this.#canvas.clientHeight;
    if (!inside || taken.some((other) => overlap(box, other))) return;
    taken.push(box);
    context.lineWidth = 4;
    context.lineJoin = 'round';
    context.strokeStyle = halo;
    context.strokeText(place.name, x + 11, y + 4);
    context.fillStyle = ink;
    context.fillText(place.name, x + 11, y + 4);
  }

  #toPixels({ lat, lon }) {
    const { clientWidth, clientHeight } = this.#canvas;
    const { scale } = this.#view;
    return {
      x: clientWidth / 2 + shortestTurn(lon - this.#view.lon) * scale * Math.cos(radians(this.#view.lat)),
      y: clientHeight / 2 - (lat - this.#view.lat) * scale,
    };
  }

  #toPlace(x, y) {
    const { clientWidth, clientHeight } = this.#canvas;
    const { lat, lon, scale } = this.#view;
    return {
      lat: clamp(lat - (y - clientHeight / 2) / scale, -90, 90),
      lon: normalise(lon + (x - clientWidth / 2) / (scale * Math.cos(radians(lat)))),
    };
  }

  #moveBy(dx, dy) {
    cancelAnimationFrame(this.#flight);
    const { clientWidth, clientHeight } = this.#canvas;
    const middle = this.#toPlace(clientWidth / 2 + dx, clientHeight / 2 + dy);
    this.#view = { ...this.#view, lat: clamp(middle.lat, -75, 82), lon: middle.lon };
    this.#draw();
  }

  #listen() {
    const canvas = this.#canvas;
    let last = null;
    let moved = 0;
    canvas.addEventListener('pointerdown', (event) => {
      last = event;
      moved = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      const { lat, lon } = this.#toPlace(event.offsetX, event.offsetY);
      this.#label.textContent = `${degrees(lat, 'N', 'S')}  ${degrees(lon, 'E', 'W')}`;
      if (!last) return;
      moved += Math.abs(event.clientX - last.clientX) + Math.abs(event.clientY - last.clientY);
      this.#moveBy(last.clientX - event.clientX, last.clientY - event.clientY);
      canvas.classList.toggle('dragging', moved > 4);
      last = event;
    });
    canvas.addEventListener('pointerup', (event) => {
      if (last && moved <= 4) this.#onPoint(this.#toPlace(event.offsetX, event.offsetY));
      last = null;
      canvas.classList.remove('dragging');
    });
    canvas.addEventListener('pointercancel', () => (last = null));
    canvas.addEventListener('pointerleave', () => (this.#label.textContent = ''));
    // With a modifier only: the wheel alone scrolls the page, as everywhere else.
    canvas.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.#view = { ...this.#view, scale: clamp(this.#view.scale * Math.exp(-event.deltaY / 240), this.#worldScale(), CLOSEST) };
      this.#draw();
    }, { passive: false });
    canvas.addEventListener('keydown', (event) => {
      const act = {
        ArrowLeft: () => this.#moveBy(-40, 0),
        ArrowRight: () => this.#moveBy(40, 0),
        ArrowUp: () => this.#moveBy(0, -40),
        ArrowDown: () => this.#moveBy(0, 40),
        '+': () => this.zoom(1.6),
        '=': () => this.zoom(1.6),
        '-': () => this.zoom(1 / 1.6),
        Enter: () => this.#onPoint({ lat: this.#view.lat, lon: this.#view.lon }),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }
}

const radians = (degree) => (degree * Math.PI) / 180;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const normalise = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;
const shortestTurn = (turn) => normalise(turn);
const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const degrees = (value, positive, negative) => `${Math.abs(value).toFixed(2)}° ${value < 0 ? negative : positive}`;
