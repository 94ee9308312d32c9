// Takes: what was generated in this tab, newest first: heard beside each other, told apart by their settings, kept or set aside.

import { clock, say, toast } from "./app.js";
import { player } from "./player.js";
import { post, span } from "./studio-asking.js";
import { paint, told } from "./studio-card.js";
import { Keeping } from "./studio-keeping.js";
import { making } from "./studio-making.js";
import { draw, peaks } from "./waveform.js";

const MOST = 30;
const desks = new Map();
let current = null;

export class Takes {
  constructor(desk, studio) {
    this.desk = desk;
    this.studio = studio;
    this.named = (name) => studio.named(name);
    this.list = desk.querySelector("#takes");
    this.off = new AbortController();
    this.keeping = new Keeping(this);
    current = this;
    this.key = `studio ${desk.dataset.me} takes`;
    if (!desks.has(this.key)) desks.set(this.key, this.remembered());
    this.state = desks.get(this.key);
    this.cards = new Map();
    const { signal } = this.off;
    desk.addEventListener("click", (event) => this.clicked(event), { signal });
    this.list.addEventListener("keydown", (event) => this.pressed(event), { signal });
    document.addEventListener("keydown", (event) => this.switched(event), { signal });
    document.addEventListener("vox:player", ({ detail }) => this.played(detail), { signal });
    document.addEventListener("vox:theme", () => this.redraw(), { signal });
    this.watch = new ResizeObserver(() => this.redraw());
    this.watch.observe(this.list);
    this.show();
    this.tick = setInterval(() => this.count(), 250);
    (function follow(takes) {
      if (signal.aborted) return;
      const { under } = making;
      const sounds = making.sounding?.sounds;
      const take = under?.take ?? (sounds ? takes.last : null);
      if (take) {
        takes.last = take;
        takes.outline(take);
      }
      requestAnimationFrame(() => follow(takes));
    })(this);
  }

  end() {
    this.off.abort();
    this.watch.disconnect();
    clearInterval(this.tick);
    if (current === this) current = null;
  }

  remembered() {
    let found = [];
    try { found = JSON.parse(sessionStorage.getItem(this.key) ?? "[]"); } catch { found = []; }
    return { takes: found, number: found.reduce((most, take) => Math.max(most, take.number), 0), a: found[1]?.id ?? null, b: found[0]?.id ?? null };
  }
  remember() {
    const kept = this.state.takes.filter(({ clip }) => clip).map(({ id, number, state, clip, wanted, aside, rating }) => ({ id, number, state, clip, wanted, aside, rating }));
    try { sessionStorage.setItem(this.key, JSON.stringify(kept)); } catch { /* too much for this browser: then only this page knows */ }
  }

  async make(wanted, { aloud, seconds }) {
    const number = (this.state.number += 1);
    const take = { id: `take ${number}`, number, wanted, seconds };
    this.state.takes.unshift(take);
    this.state.takes.splice(MOST);
    this.show();
    this.cards.get(take.id).scrollIntoView({ block: "nearest" });
    await this.run(take, aloud);
  }
  async run(take, aloud) {
    const { state } = this;
    await making.make(take, take.wanted, { aloud, moved: (moved) => this.moved(moved) });
    if (!take.clip) return;
    const same = state.takes.find((other) => other !== take && other.clip?.id === take.clip.id);
    if (same) {  // the clip is here already: its card says so
      state.takes = [same, ...state.takes.filter((other) => other !== take && other !== same)];
      same.state = "there";
    }
    const found = same ?? take;
    const made = state.takes.filter(({ clip }) => clip);
    state.b = found.id;
    state.a = made.find(({ id }) => id !== found.id)?.id ?? null;
    this.remember();
    current?.show();
    if (found.state === "there" && aloud && !this.off.signal.aborted) player.play(this.clipOf(found), { among: this.heard() });
  }
  // A page that came later than the making shows it as well; where another page is looked at there is nothing to draw on.
  moved(take) { current?.draw(take); }

  show() {
    const { takes, a, b } = this.state;
    this.cards = new Map(takes.map((take) => [take.id, this.cards.get(take.id) ?? this.card(take)]));
    this.list.replaceChildren(...this.cards.values());
    for (const take of takes) this.draw(take);
    const made = takes.filter(({ clip }) => clip);
    this.desk.querySelector("[data-no-takes]").hidden = takes.length > 0;
    this.desk.querySelector("[data-clear]").hidden = !takes.length;
    const link = this.desk.querySelector("[data-session-link]");
    const { library, session } = this.desk.dataset;
    const last = made[0]?.clip.session ?? session;
    link.hidden = !library || !made.length;
    link.href = `${library}?${new URLSearchParams({ session: last })}`;
    this.compare(takes.find(({ id, clip }) => id === a && clip), takes.find(({ id, clip }) => id === b && clip));
    this.list.dispatchEvent(new CustomEvent("vox:added", { bubbles: true }));
  }

  compare(one, other) {
    const room = this.desk.querySelector(".ab");
    room.hidden = !one || !other || one === other;
    for (const [id, card] of this.cards) {
      for (const button of card.querySelectorAll("[data-ab]")) button.setAttribute("aria-pressed", String(this.state[button.dataset.ab] === id));
      card.querySelector(".segments").hidden = this.state.takes.filter(({ clip }) => clip).length < 2 || !this.take(id).clip;
    }
    if (room.hidden) return;
    for (const [name, take] of [["a", one], ["b", other]]) room.querySelector(`[data-ab-name=${name}]`).textContent = say("Take %(num)s", { num: take.number });
    room.querySelector(".differences").replaceChildren(...told(one.wanted, other.wanted, this.named));
  }

  take(id) { return this.state.takes.find((take) => take.id === id); }
  heard() { return this.state.takes.filter(({ clip }) => clip).map((take) => this.clipOf(take)); }
  clipOf({ clip, number }) {
    return { id: clip.id, title: `${say("Take %(num)s", { num: number })}${clip.name ? ` · ${clip.name}` : ""}`, voice: clip.voice, emotion: clip.emotion, emotionName: this.named(clip.emotion), duration: clip.duration };
  }

  card(take) {
    const made = document.getElementById("take-card").content.firstElementChild.cloneNode(true);
    made.dataset.take = take.id;
    made.querySelector(".take-wave").addEventListener("click", (event) => this.sought(take, event));
    return made;
  }

  draw(take) {
    const card = this.cards.get(take.id);
    if (!card) return;
    const { takes } = this.state;
    paint(card, take, { before: takes[takes.indexOf(take) + 1], newest: this.state.b === take.id, named: this.named, clip: take.clip && this.clipOf(take) });
    this.outline(take);
    if (takes[0] !== take) return;
    const busy = making.under !== null && (take.state === "waiting" || take.state === "coming");
    this.desk.querySelector("[data-go]").hidden = busy;
    this.desk.querySelector("[data-stop]").hidden = !busy;
    this.desk.querySelector("[data-state]").textContent = !busy ? "" : take.state === "waiting" ? say("Waiting for the engine …") : say("%(span)s so far", { span: clock(take.outline.seconds) });
  }

  outline(take) {
    const canvas = this.cards.get(take.id)?.querySelector("canvas");
    if (!canvas) return;
    const mine = player.clip && player.clip.id === take.clip?.id;
    const known = take.outline?.peaks.length ? take.outline : null;
    if (known && !mine) {
      const length = take.clip?.duration ?? Math.max(take.seconds ?? 0, known.seconds * 1.05);
      const heard = making.sounding && (making.under?.take === take || this.last === take) ? making.sounding.heard : take.clip ? length : known.seconds;
      canvas.closest(".take").dataset.heard = heard.toFixed(1);
      draw(canvas, known.upTo(length), heard / length);
    } else if (take.clip) {
      const at = mine && player.duration ? player.at / player.duration : 1;
      if (take.peaks) draw(canvas, take.peaks, at);
      else if (!take.fetched) {
        take.fetched = true;
        peaks(take.clip.id).then((found) => { take.peaks = found; this.outline(take); });
      }
    } else draw(canvas, null, 0);
    if (known && mine) draw(canvas, known.peaks, player.duration ? player.at / player.duration : 1);
  }
  redraw() { for (const take of this.state.takes) this.outline(take); }
  played({ clip }) {
    const now = this.state.takes.find((take) => take.clip && take.clip.id === clip?.id);
    if (this.playing && this.playing !== now) this.outline(this.playing);
    this.playing = now;
    if (now) this.outline(now);
  }

  sought(take, event) {
    if (!take.clip) return;
    const { left, width } = event.currentTarget.getBoundingClientRect();
    player.play(this.clipOf(take), { among: this.heard(), at: Math.max(0.01, ((event.clientX - left) / width) * take.clip.duration) });
  }

  switch() {
    const [one, other] = [this.take(this.state.a), this.take(this.state.b)];
    if (!one?.clip || !other?.clip) return;
    const next = player.clip?.id === other.clip.id ? one : player.clip?.id === one.clip.id ? other : one;
    const at = player.clip && player.clip.id !== next.clip.id && [one.clip.id, other.clip.id].includes(player.clip.id) ? player.at : 0;
    player.play(this.clipOf(next), { among: this.heard(), at: Math.min(at, Math.max(0, next.clip.duration - 0.05)) });
  }
  switched(event) {
    const { target } = event;
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey || target.closest?.("input:not([type=radio], [type=checkbox], [type=range]), textarea, select") || document.querySelector("dialog[open]")) return;
    this.switch();
  }

  count() {
    for (const take of this.state.takes) {
      if (take.state !== "failed") continue;
      const card = this.cards.get(take.id);
      const left = Math.ceil((take.free - Date.now()) / 1000);
      card.querySelector("[data-again]").disabled = left > 0 || making.under !== null;
      card.querySelector(".again span").textContent = left > 0 ? say("in %(span)s", { span: span(left) }) : "";
    }
  }

  pressed(event) {
    const card = event.target.closest(".take");
    const take = card && this.take(card.dataset.take);
    if (!take?.clip || event.ctrlKey || event.metaKey || event.altKey) return;
    if ("12345".includes(event.key)) this.rate(take, Number(event.key));
    else if (event.key === "p") this.keeping.ask(take);
    else return;
    event.preventDefault();
  }

  clicked(event) {
    const button = event.target.closest?.("button");
    if (!button) return;
    const { dataset } = button;
    if ("switch" in dataset) return this.switch();
    if ("clear" in dataset) return this.clear();
    const take = this.take(button.closest(".take")?.dataset.take);
    if (!take) return;
    if ("ab" in dataset) {
      if (this.state[dataset.ab === "a" ? "b" : "a"] === take.id) [this.state.a, this.state.b] = [this.state.b, this.state.a];
      else this.state[dataset.ab] = take.id;
      this.show();
    } else if ("rate" in dataset) this.rate(take, Number(dataset.rate));
    else if ("keep" in dataset) this.keeping.ask(take);
    else if ("use" in dataset) this.use(take);
    else if ("nextTake" in dataset) this.again(take);
    else if ("again" in dataset) { take.free = undefined; this.run(take, this.desk.querySelector("[data-aloud]").checked); }
    else if ("remove" in dataset) this.remove(take);
  }

  clear() {
    this.state.takes = this.state.takes.filter((take) => making.under?.take === take);
    this.remember();
    this.show();
  }
  remove(take) {
    this.state.takes = this.state.takes.filter((other) => other !== take);
    this.remember();
    this.show();
  }
  use(take) {
    this.studio.again(take.wanted);
    this.desk.querySelector("#text").scrollIntoView({ block: "center" });
  }
  again(take) {
    const taken = this.state.takes.filter((other) => other.wanted.text === take.wanted.text).map((other) => other.wanted.take ?? 1);
    this.studio.generate({ ...take.wanted, take: Math.max(...taken) + 1 });
  }

  async rate(take, rating) {
    const { told, fault } = await post(`/api/clips/${take.clip.id}/rating`, { rating }, { method: "PUT" });
    if (fault) return toast(fault.message, { remedy: fault.remedy, bad: true });
    take.clip = { ...take.clip, ...told, reused: take.clip.reused };
    take.rating = rating;
    this.remember();
    return this.draw(take);
  }
}
