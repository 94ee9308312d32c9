// The score of a clip: waveform and spectrogram over one line of time, with one playhead. Zoomed in, it asks the node for the stretch
// that is in view; the browser never decodes anything.

import { attach, clock, colour, say } from "./app.js";
import { player } from "./player.js";

const AXIS = 24;
const WAVE = 128;
const SPECTRUM = 144;
const SOUND = AXIS + WAVE + 4;
const HEIGHT = SOUND + SPECTRUM;
/** Seconds that are in view at least; seconds of a stretch of which there is a spectrogram; pixels that an element may be wide. */
const FINEST = 0.25;
const STRETCH = 128;
const WIDEST = 12e6;
const POINTS = 1500;
const PATIENCE = 3000;

/** `0:04.2`: a moment within a clip. */
export const stamp = (seconds) => `${clock(Math.floor(seconds + 0.05))}.${Math.floor((seconds + 0.05) * 10) % 10}`;

/** Plays a clip from a moment on; `button` is its `[data-play]`. */
export function hear(button, at) {
  const clip = JSON.parse(button.dataset.play);
  if (player.clip?.id === clip.id) {
    player.seek(at);
    if (!player.playing) player.toggle();
  } else player.play(clip, { at });
}

class Score {
  constructor(box) {
    this.box = box;
    this.facts = JSON.parse(box.dataset.score);
    this.duration = this.facts.duration || 0.001;
    this.button = box.querySelector("[data-play]");
    [this.scroll, this.wide, this.view] = ["scroll", "wide", "view"].map((name) => box.querySelector(`.score-${name}`));
    [this.soft, this.strong] = [box.querySelector(".score-soft"), box.querySelector(".score-strong")];
    [this.played, this.now, this.hover] = ["played", "now", "hover"].map((name) => box.querySelector(`.score-${name}`));
    this.zoom = 1;
    this.cursor = 0;
    this.touched = 0;
    this.tiles = new Map();
    this.whole = null;
    this.picture = null;
    this.ended = new AbortController();
  }

  begin() {
    const { signal } = this.ended;
    const on = (target, names, act, options = {}) => names.split(" ").forEach((name) => target.addEventListener(name, act, { signal, ...options }));
    on(document, "vox:player", (event) => this.plays(event.detail));
    on(document, "vox:theme", () => this.draw());
    on(this.scroll, "scroll", () => this.look());
    on(this.scroll, "wheel pointerdown touchmove", () => { this.touched = Date.now(); }, { passive: true });
    on(this.view, "wheel", (event) => this.wheeled(event), { passive: false });
    on(this.view, "pointerdown", (event) => this.pressed(event));
    on(this.view, "pointermove", (event) => this.moved(event));
    on(this.view, "pointerup", (event) => this.released(event));
    on(this.view, "pointerleave pointercancel", () => { this.hover.hidden = true; this.dragged = false; });
    on(this.view, "keydown", (event) => this.typed(event));
    on(this.box, "click", (event) => {
      const way = event.target.closest?.("[data-zoom]")?.dataset.zoom;
      if (way) this.zoomTo(way === "all" ? 1 : this.zoom * (way === "in" ? 2 : 0.5));
    });
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(this.scroll);
    this.load();
    return () => {
      this.ended.abort();
      this.sizes.disconnect();
      clearTimeout(this.soon);
    };
  }

  get width() { return this.scroll.clientWidth || 1; }
  get span() { return this.duration / this.zoom; }
  get from() { return Math.min((this.scroll.scrollLeft / (this.width * this.zoom)) * this.duration, this.duration - this.span); }
  get mine() { return player.clip?.id === this.facts.id; }
  get at() { return this.mine ? player.at : this.cursor; }
  x(seconds) { return ((seconds - this.from) / this.span) * this.width; }
  time(x) { return Math.min(Math.max(this.from + (x / this.width) * this.span, 0), this.duration); }

  async load() {
    const address = `/api/clips/${this.facts.id}`;
    const [found, picture] = await Promise.all([this.ask(`${address}/waveform?points=2000`), image(`${address}/spectrogram.png?axes=false`)]);
    if (this.ended.signal.aborted) return;
    this.picture = picture;
    if (found) {
      this.whole = found;
      this.loudest = Math.max(1, ...found.peaks.map(([low, high]) => Math.max(-low, high)));
    }
    this.box.toggleAttribute("data-drawn", Boolean(found));
    this.draw();
  }

  async ask(address) {
    try {
      const answer = await fetch(address, { signal: this.ended.signal });
      if (answer.ok) return await answer.json();
      const told = (await answer.json()).error ?? {};
      const fault = this.box.querySelector(".score-fault");
      fault.textContent = [told.message, told.remedy].filter(Boolean).join(" · ");
      fault.hidden = false;
    } catch {
      // the page was left, or the node is away: which the next click tells
    }
    return null;
  }

  // Where one looks

  fit() {
    this.view.style.width = `${this.width}px`;
    this.wide.style.width = `${this.width * this.zoom}px`;
    this.draw();
  }

  zoomTo(zoom, x = null) {
    const most = Math.max(1, Math.min(this.duration / FINEST, WIDEST / this.width));
    const pivot = x ?? (this.x(this.at) >= 0 && this.x(this.at) <= this.width ? this.x(this.at) : this.width / 2);
    const time = this.time(pivot);
    this.zoom = Math.min(Math.max(zoom, 1), most);
    this.wide.style.width = `${this.width * this.zoom}px`;
    this.scroll.scrollLeft = (time / this.duration) * this.width * this.zoom - pivot;
    this.box.querySelector("[data-zoom=out]").disabled = this.zoom <= 1;
    this.box.querySelector("[data-zoom=all]").disabled = this.zoom <= 1;
    this.box.querySelector("[data-zoom=in]").disabled = this.zoom >= most;
    this.draw();
  }

  look() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  wheeled(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / 200), event.clientX - this.scroll.getBoundingClientRect().left);
  }

  // Where it is heard

  go(seconds) {
    this.cursor = Math.min(Math.max(seconds, 0), this.duration);
    if (this.mine) player.seek(this.cursor);
    else player.play(JSON.parse(this.button.dataset.play), { at: this.cursor });
    this.place();
  }

  plays({ playing, at, clip }) {
    if (clip?.id !== this.facts.id) {
      this.place();
      return;
    }
    this.cursor = at;
    if (playing && this.zoom > 1 && Date.now() - this.touched > PATIENCE && (at < this.from || at > this.from + this.span * 0.96))
      this.scroll.scrollLeft = (at / this.duration - 0.06 / this.zoom) * this.width * this.zoom;
    this.place();
  }

  place() {
    const at = this.dragged || this.at;
    const x = this.x(at);
    this.now.style.transform = `translateX(${Math.round(x * 10) / 10}px)`;
    this.now.hidden = x < -1 || x > this.width + 1;
    this.played.style.clipPath = `inset(0 ${Math.max(0, Math.min(this.width, this.width - x))}px 0 0)`;
    const said = stamp(at);
    if (this.said === said) return;
    this.said = said;
    this.box.querySelector("[data-score-at]").textContent = said;
    this.view.setAttribute("aria-valuenow", at.toFixed(2));
    this.view.setAttribute("aria-valuetext", say("%(at)s of %(length)s", { at: said, length: clock(this.duration) }));
  }

  pointed(event) { return this.time(event.clientX - this.scroll.getBoundingClientRect().left); }

  pressed(event) {
    if (event.button || event.pointerType === "touch") return;
    this.view.setPointerCapture(event.pointerId);
    this.dragged = this.pointed(event) || 1e-6;
    this.place();
  }

  moved(event) {
    if (event.pointerType === "touch") return;
    const time = this.pointed(event);
    this.hover.hidden = false;
    this.hover.style.transform = `translateX(${this.x(time)}px)`;
    this.hover.firstElementChild.textContent = this.span < 5 ? time.toFixed(2) : stamp(time);
    this.hover.classList.toggle("left", this.x(time) > this.width - 80);
    if (this.dragged) {
      this.dragged = time || 1e-6;
      this.place();
    }
  }

  released(event) {
    if (!this.dragged && event.pointerType !== "touch") return;
    this.dragged = false;
    this.go(this.pointed(event));
  }

  typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.1 : Math.max(0.5, Math.min(5, this.span / 20));
    const by = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -10, PageUp: 10 }[event.key];
    if (by) this.go(this.at + by);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.duration);
    else if (event.key === " " || event.key === "Enter") this.button.click();
    else return;
    event.preventDefault();
  }

  // What is seen

  draw() {
    const { width } = this;
    const [soft, strong] = [this.soft, this.strong].map((canvas) => prepared(canvas, width, HEIGHT));
    this.axis(soft);
    this.waves(soft, "--dots");
    this.waves(strong, "--emotion");
    this.spectrum(soft);
    this.place();
    clearTimeout(this.soon);
    if (this.whole) this.soon = setTimeout(() => this.refine(), 120);
  }

  axis(context) {
    const [ink, line] = [colour("--muted", this.box), colour("--line", this.box)];
    const step = round(this.span / Math.max(2, this.width / 90));
    context.font = `11px ${getComputedStyle(this.box).fontFamily}`;
    for (let tick = Math.ceil(this.from / step); tick * step <= this.from + this.span + 1e-9; tick += 1) {
      const x = Math.round(this.x(tick * step)) + 0.5;
      context.fillStyle = line;
      context.fillRect(x - 0.5, AXIS - 6, 1, 6);
      context.fillStyle = ink;
      const words = step < 1 ? (tick * step >= 60 ? `${clock(Math.floor(tick * step))}${(tick * step % 1).toFixed(step < 0.1 ? 2 : 1).slice(1)}` : (tick * step).toFixed(step < 0.1 ? 2 : 1)) : clock(tick * step);
      const wide = context.measureText(words).width;
      if (x + wide / 2 < this.width) context.fillText(words, Math.max(4, x - wide / 2), 12);
    }
    for (const [start, end, emotion] of this.facts.passages) {
      context.fillStyle = colour(`--${emotion}`, this.box);
      context.fillRect(this.x(start), AXIS - 3, Math.max(1, this.x(end) - this.x(start) - 1), 3);
    }
    context.fillStyle = line;
    for (const start of this.facts.segments) {
      const x = this.x(start);
      if (start > 0 && x > 0 && x < this.width && this.facts.segments.length < this.width * this.zoom / 12) context.fillRect(Math.round(x), AXIS, 1, WAVE);
    }
  }

  waves(context, name) {
    if (!this.whole) return;
    context.fillStyle = colour(name, this.box);
    const sources = [...this.near().map(([key]) => this.tiles.get(key)?.outline).filter(Boolean), this.whole];
    const [bar, gap] = [2, 1];
    const middle = AXIS + WAVE / 2;
    context.beginPath();
    for (let x = 0; x < this.width; x += bar + gap) {
      const [from, to] = [this.time(x), this.time(x + bar + gap)];
      const source = sources.find((each) => from >= each.start - 1e-6 && to <= each.end + 1e-6) ?? this.whole;
      const parts = source.peaks.length / (source.end - source.start || 1);
      const first = Math.max(0, Math.min(source.peaks.length - 1, Math.floor((from - source.start) * parts)));
      const last = Math.max(first + 1, Math.ceil((to - source.start) * parts));
      let [low, high] = [0, 0];
      for (let part = first; part < last && part < source.peaks.length; part += 1) {
        low = Math.min(low, source.peaks[part][0]);
        high = Math.max(high, source.peaks[part][1]);
      }
      const up = Math.max(1, (high / this.loudest) * (WAVE / 2 - 4));
      const down = Math.max(1, (-low / this.loudest) * (WAVE / 2 - 4));
      context.roundRect(x, middle - up, bar, up + down, 1);
    }
    context.fill();
  }

  spectrum(context) {
    context.fillStyle = "rgb(6 6 24)";
    context.fillRect(0, SOUND, this.width, SPECTRUM);
    if (this.picture) this.paint(context, this.picture, 0, this.duration);
    for (const [key, start, end] of this.near()) {
      const { picture } = this.tiles.get(key) ?? {};
      if (picture) this.paint(context, picture, start, end);
    }
    context.font = `10px ${getComputedStyle(this.box).fontFamily}`;
    context.textBaseline = "middle";
    let below = HEIGHT + 8;
    for (const [hertz, share] of this.facts.hertz) {
      const y = SOUND + SPECTRUM * (1 - share);
      if (y < SOUND + 8 || below - y < 16) continue;
      below = y;
      const words = hertz >= 1000 ? `${hertz / 1000} kHz` : `${hertz} Hz`;
      context.fillStyle = "rgb(6 6 24 / 62%)";
      context.fillRect(0, y - 7, context.measureText(words).width + 10, 14);
      context.fillStyle = "rgb(255 255 255 / 86%)";
      context.fillText(words, 5, y + 0.5);
    }
    context.textBaseline = "alphabetic";
  }

  // The part of a picture of a stretch that is in view.
  paint(context, picture, start, end) {
    const [from, to] = [Math.max(start, this.from), Math.min(end, this.from + this.span)];
    if (to <= from) return;
    const scale = picture.naturalWidth / (end - start);
    context.drawImage(picture, (from - start) * scale, 0, Math.max(0.5, (to - from) * scale), picture.naturalHeight, this.x(from), SOUND, this.x(to) - this.x(from), SPECTRUM);
  }

  // The stretches of a power of two of seconds that are in view: [key, start, end].
  near() {
    if (this.zoom <= 1.01) return [];
    const length = 2 ** Math.ceil(Math.log2(this.span));
    const found = [];
    for (let number = Math.floor(this.from / length); number * length < this.from + this.span && number * length < this.duration; number += 1)
      found.push([`${length} ${number}`, number * length, Math.min((number + 1) * length, this.duration)]);
    return found;
  }

  // Asks for what is in view where the whole is too coarse for it.
  async refine() {
    const coarse = (this.whole.peaks.length * this.span) / this.duration < this.width / 3;
    if (!coarse) return;
    for (const [key, start, end] of this.near()) {
      if (this.tiles.has(key)) continue;
      const tile = {};
      this.tiles.set(key, tile);
      if (this.tiles.size > 80) this.tiles.delete(this.tiles.keys().next().value);
      const part = `start=${start}&end=${end}`;
      const address = `/api/clips/${this.facts.id}`;
      const seen = this.facts.detail && end - start <= STRETCH && this.duration > 16;
      this.ask(`${address}/waveform?points=${POINTS}&${part}`).then((outline) => {
        tile.outline = outline;
        if (outline && !this.ended.signal.aborted) this.look();
      });
      if (seen) image(`${address}/spectrogram.png?axes=false&${part}`).then((picture) => {
        tile.picture = picture;
        if (picture && !this.ended.signal.aborted) this.look();
      });
    }
  }
}

function prepared(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return context;
}

function round(rough) {
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
  return steps.find((step) => step >= rough) ?? 7200;
}

function image(address) {
  return new Promise((done) => {
    const made = new Image();
    made.onload = () => done(made);
    made.onerror = () => done(null);
    made.src = address;
  });
}

attach("[data-score]", (box) => new Score(box).begin());
