// The studio: what is written and chosen, and the address that holds the choice.

import { attach, copy, say } from "./app.js";
import { player } from "./player.js";
import { marked, shown } from "./studio-marks.js";
import { making } from "./studio-making.js";
import { EMOTIONS, Reading, two } from "./studio-reading.js";
import { Takes } from "./studio-takes.js";

const USUAL = { strength: "1", take: "1", speed: "1", format: "wav", priority: "interactive", way: "vector" };

class Desk {
  constructor(desk) {
    this.desk = desk;
    this.form = desk.querySelector("#studio");
    this.text = desk.querySelector("#text");
    this.key = `studio ${desk.dataset.me}`;
    this.off = new AbortController();
    this.reading = new Reading(this);
    this.takes = new Takes(desk, this);
    this.recording = new Audio();
    const at = (place, names, act) => { for (const name of names.split(" ")) place.addEventListener(name, act, { signal: this.off.signal }); };
    at(this.form, "submit", (event) => { event.preventDefault(); if (event.submitter?.matches("[data-go]")) this.generate(); });
    at(this.text, "input", () => this.wrote());
    at(this.form, "input change", (event) => { if (event.target !== this.text) this.chose(event); });
    at(desk, "click", (event) => this.clicked(event));
    at(document, "keydown", (event) => this.pressed(event));
    at(document, "htmx:load", (event) => { if (event.detail.elt.id === "settings") this.settled(); else if (event.detail.elt.id === "voices") this.pick(); });
    at(document, "click", (event) => { for (const open of document.querySelectorAll(".share[open], .picker[open]")) if (!open.contains(event.target)) open.open = false; });
    for (const name of ["play", "pause", "ended", "error"]) at(this.recording, name, () => this.hearing(name));
    document.querySelector(".share")?.addEventListener("click", (event) => this.share(event), { signal: this.off.signal });
    if (/Mac|iP/.test(navigator.platform)) desk.querySelector("[data-shortcut]").textContent = "⌘ ↵";
    this.restore();
    this.settled();
    this.text.focus({ preventScroll: true });
    this.end = () => { this.off.abort(); this.reading.end(); this.recording.pause(); this.takes.end(); };
  }

  field(name) { return this.form.elements.namedItem(name); }
  value(name) { return this.field(name)?.value ?? ""; }

  restore() {
    const linked = new URLSearchParams(location.hash.slice(1)).get("text");
    this.text.value = linked ?? sessionStorage.getItem(`${this.key} text`) ?? "";
    if (linked !== null) history.replaceState(history.state, "", location.pathname + location.search);
    this.wrote();
  }

  // What was chosen, after the settings were drawn anew.
  settled() {
    for (const range of this.form.querySelectorAll("input[type=range]")) this.slid(range);
    const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language", fallback: "none" });
    const languages = this.field("language");
    const named = [...languages.options].slice(1);
    for (const option of named) {
      let name;
      try { name = names.of(option.value); } catch { name = undefined; }
      option.textContent = name ? `${name} · ${option.value}` : option.value;
    }
    languages.append(...named.sort((one, other) => one.textContent.localeCompare(other.textContent, document.documentElement.lang)));
    this.way();
    this.pick();
    this.desk.querySelector("[data-go]").disabled = this.form.querySelector("#settings .fault") !== null;
    this.reading.asked = null;
    this.reading.ask();
  }

  way() {
    const way = this.value("way") || "vector";
    for (const part of this.form.querySelectorAll("[data-way]")) part.hidden = part.dataset.way !== way;
  }

  pick() {
    const voice = this.value("voice");
    for (const radio of this.form.querySelectorAll("input[name=choice]")) radio.checked = radio.value === voice;
    const now = this.form.querySelector("[data-voice-now]");
    now.textContent = voice || say("The engine's usual voice");
  }

  wrote() {
    const { value } = this.text;
    this.desk.querySelector(".editor-shown").replaceChildren(shown(value, this.field("marks")?.checked ?? true));
    const count = [...value.trim()].length;
    const told = this.desk.querySelector("[data-told=count]");
    told.textContent = count === 1 ? say("%(num)s character", { num: 1 }) : say("%(num)s characters", { num: count.toLocaleString("en") });
    told.classList.toggle("bad", count > Number(this.desk.dataset.longest));
    sessionStorage.setItem(`${this.key} text`, value);
    this.reading.ask();
  }

  chose({ target, type }) {
    if (target.type === "search") return;
    if (target.name === "choice") {
      this.field("voice").value = target.value;
      this.pick();
      if (type === "change" && !target.matches(":focus-visible")) target.closest("details").open = false;
    }
    if (target.type === "range") this.slid(target);
    if (target.name === "way") this.way();
    if ([...EMOTIONS, "strength", "choice", "engine", "language", "way"].includes(target.name)) this.chosen("");
    if (target.name === "marks") this.wrote();
    this.hold();
    if (target.name === "engine") {
      this.field("voice").value = "";
      if (type === "change") this.redraw();
    } else this.reading.ask();
  }

  slid(range) {
    range.style.setProperty("--value", `${range.value * 100}%`);
    const row = range.closest(".slider");
    row.querySelector(".asked").textContent = two(Number(range.value));
    row.classList.toggle("none", !Number(range.value));
    range.setAttribute("aria-valuetext", two(Number(range.value)));
  }

  // The settings of another engine come from the node; what was chosen stays where that engine has it.
  redraw() {
    if (!this.form.querySelector("#voices")) return;
    this.hold();
    globalThis.htmx.ajax("GET", this.address(), { target: "#settings", swap: "outerHTML" });
  }

  /** The choice as a query, without what is usual. */
  query() {
    const found = new URLSearchParams();
    const engine = this.field("engine");
    for (const element of this.form.elements) {
      const { name, value, type } = element;
      if (!name || ["choice", "q", "text"].includes(name) || (type === "radio" && !element.checked)) continue;
      if (type === "checkbox") { if (!element.checked && name !== "") found.set(name, "no"); }
      else if (name === "engine" ? value !== engine.dataset.usual : EMOTIONS.includes(name) ? Number(value) : value && value !== USUAL[name]) found.set(name, value);
    }
    return found;
  }
  address() {
    const query = String(this.query());
    return `/studio${query ? `?${query}` : ""}`;
  }
  hold() {
    if (this.address() === location.pathname + location.search) return;
    history.replaceState(history.state, "", this.address());
    document.dispatchEvent(new CustomEvent("htmx:replacedInHistory"));
  }

  emotion() { return Object.fromEntries(EMOTIONS.map((name) => [name, Number(this.value(name))]).filter(([, weight]) => weight)); }

  /** What the node is asked for: the body of POST /api/clips/stream. */
  wanted() {
    const given = (name) => this.value(name).trim() || undefined;
    const able = (name) => this.field(name) && !this.field(name).disabled;
    const number = (name) => (able(name) && this.value(name) !== "" ? Number(this.value(name)) : undefined);
    const way = this.value("way") || "vector";
    const emotion = way === "vector" && able("happy") ? this.emotion() : {};
    const scaled = Object.keys(emotion).length || (way === "reference" && given("reference")) || (way === "words" && given("words"));
    const sampling = Object.fromEntries([...this.form.querySelectorAll("[name^='sampling.']")].filter((input) => input.value !== "").map((input) => [input.name.slice(9), Number(input.value)]));
    const speed = number("speed");
    return {
      text: this.text.value, engine: given("engine"), voice: given("voice"), language: given("language"),
      emotion: Object.keys(emotion).length ? emotion : undefined,
      emotion_reference: way === "reference" ? given("reference") : undefined, emotion_words: way === "words" ? given("words") : undefined,
      emotion_strength: scaled ? Number(this.value("strength")) : undefined, preset: given("preset"),
      session: given("session"), name: given("name"), tags: this.value("tags").split(/[,，]/).map((tag) => tag.trim()).filter(Boolean),
      format: given("format"), seed: number("seed"), take: number("take"), speed: speed === 1 ? undefined : speed,
      sampling: Object.keys(sampling).length ? sampling : undefined, marks: this.field("marks").checked, reuse: this.field("reuse").checked,
      priority: given("priority"),
    };
  }

  /** An emotion's name as the page says it. */
  named(name) { return this.form.querySelector(`.slider[data-emotion=${name}] .emotion`)?.textContent ?? say("neutral"); }

  chosen(name) {
    this.field("preset").value = name;
    for (const button of this.form.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", String(JSON.parse(button.dataset.preset).name === name && name !== ""));
  }

  apply({ name, emotion, strength, voice, language, engine, sampling }) {
    const way = this.form.querySelector("input[name=way][value=vector]");
    if (emotion) {
      way.checked = !way.disabled;
      for (const each of EMOTIONS) this.field(each).value = String(emotion[each] ?? 0);
      this.field("strength").value = String(strength ?? 1);
    }
    if (language) this.field("language").value = language;
    for (const [key, value] of Object.entries(sampling ?? {})) { const input = this.field(key === "speed" ? "speed" : `sampling.${key}`); if (input) input.value = String(value); }
    for (const range of this.form.querySelectorAll("input[type=range]")) this.slid(range);
    if (voice) this.field("voice").value = voice;
    const other = engine && engine !== this.value("engine");
    if (other) this.field("engine").value = engine;
    this.chosen(name ?? "");
    this.way();
    this.pick();
    this.hold();
    if (other) this.redraw();
    else this.reading.ask();
  }

  /** Everything as it was for a take. */
  again({ text, emotion, tags, emotion_strength: strength, emotion_reference: reference, emotion_words: words, sampling, marks, reuse, ...rest }) {
    this.text.value = text;
    const found = new URLSearchParams();
    const way = reference ? "reference" : words ? "words" : undefined;
    const choice = { ...rest, ...emotion, strength, reference, words, way, tags: tags?.join(", "), marks: marks ? undefined : "no", reuse: reuse ? undefined : "no" };
    for (const [name, value] of [...Object.entries(choice), ...Object.entries(sampling ?? {}).map(([name, value]) => [`sampling.${name}`, value])]) {
      if (value !== undefined && value !== "" && String(value) !== USUAL[name]) found.set(name, String(value));
    }
    history.replaceState(history.state, "", `/studio?${found}`);
    this.wrote();
    globalThis.htmx.ajax("GET", location.pathname + location.search, { target: "#settings", swap: "outerHTML" });
  }

  clicked({ target }) {
    const button = target.closest?.("button");
    if (!button) return;
    const { dataset } = button;
    if ("preset" in dataset) this.apply(JSON.parse(dataset.preset));
    else if ("reset" in dataset) this.apply({ emotion: {}, strength: 1 });
    else if ("stop" in dataset) making.stop();
    else if ("recording" in dataset) this.listen(button);
    else if ("mark" in dataset) this.mark();
  }

  mark() {
    const weights = Object.entries(this.emotion()).map(([name, weight]) => `${name}:${weight}`);
    const mark = weights.length ? `[${weights.join(", ")}]` : "[neutral]";
    const [text, caret] = marked(this.text.value, this.text.selectionStart, mark);
    this.text.value = text;
    this.text.focus();
    this.text.setSelectionRange(caret, caret);
    this.wrote();
  }

  listen(button) {
    const source = button.dataset.recording;
    if (this.recording.getAttribute("src") === source && !this.recording.paused) return this.recording.pause();
    player.pause();
    making.hush();
    if (this.recording.getAttribute("src") !== source) this.recording.src = source;
    return this.recording.play().catch(() => {});
  }
  async hearing(name) {
    const source = this.recording.getAttribute("src");
    for (const button of this.form.querySelectorAll("[data-recording]")) button.setAttribute("aria-pressed", String(button.dataset.recording === source && !this.recording.paused && !this.recording.ended));
    if (name === "error" && source) {
      const answer = await fetch(source, { headers: { "HX-Request": "true", Range: "bytes=0-0" } });
      const { error } = answer.ok ? {} : await answer.json().catch(() => ({}));
      toast(error?.message ?? say("This browser cannot play the recording's format."), { remedy: error?.remedy ?? "", bad: true });
    }
  }

  pressed(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      this.generate();
    } else if (event.key === "Escape" && this.form.querySelector(".picker[open]")) this.form.querySelector(".picker").open = false;
    else if (event.key === "Enter" && event.target.name === "choice") event.target.closest("details").open = false;
  }

  async share(event) {
    const what = event.target.closest("[data-share]")?.dataset.share;
    if (!what) return;
    const text = what === "text" ? `#${new URLSearchParams({ text: this.text.value })}` : "";
    event.currentTarget.open = false;
    const address = location.origin + this.address() + text;
    await copy(address, { otherwise: address });
  }

  generate(wanted = this.wanted()) {
    const go = this.desk.querySelector("[data-go]");
    if (making.under || go.disabled) return;
    if (!wanted.text.trim()) {
      this.reading.faults([{ about: "text", message: say("There is nothing to say yet."), remedy: say("Write a text first.") }]);
      this.text.focus();
      return;
    }
    this.recording.pause();
    this.takes.make(wanted, { aloud: this.desk.querySelector("[data-aloud]").checked, seconds: this.reading.told?.seconds ?? 3 });
  }
}

attach("[data-studio]", (desk) => new Desk(desk).end);
