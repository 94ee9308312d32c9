// The player: one for all pages. It stays while #main changes, and plays what `player.play(clip)` gets, or a button with `data-play`.
//
// A clip is { id, title, voice, emotion, emotionName, duration }. It tells `vox:player` on document: { clip, playing, at, duration }.

import { ask, clock, say, toast, typing } from "./app.js";
import { draw, peaks } from "./waveform.js";

const SPEEDS = [1, 1.25, 1.5, 2, 0.75];
const box = document.getElementById("player");
const audio = box.querySelector("audio");
const canvas = box.querySelector("canvas");
const seek = box.querySelector(".player-seek");
const part = (name) => box.querySelector(`.player-${name}`);
let list = [];
let place = null;
let outline = null;
let dragged = null;

export const player = {
  clip: null,
  get playing() { return !audio.paused && !audio.ended; },
  get at() { return audio.currentTime; },
  get duration() { return Number.isFinite(audio.duration) && audio.duration ? audio.duration : (this.clip?.duration ?? 0); },

  /** Plays a clip, from `at` seconds on; `among` is the list that next and previous go through, `within` the element that shows it and may grow, `source` an address other than the clip's own. */
  async play(clip, { among = [clip], within = null, at = 0, source = `/api/clips/${clip.id}/audio` } = {}) {
    list = among;
    place = within;
    if (place && list.at(-1)?.id === clip.id) place.dispatchEvent(new CustomEvent("vox:last", { bubbles: true }));
    if (this.clip?.id !== clip.id || audio.error || audio.dataset.source !== source) {
      this.clip = clip;
      outline = null;
      audio.dataset.source = source;
      audio.src = source;
      audio.playbackRate = Number(sessionStorage.getItem("speed")) || 1;
      show();
      peaks(clip.id).then((found) => {
        if (this.clip?.id === clip.id) {
          outline = found;
          line();
        }
      });
    }
    if (at || audio.ended) audio.currentTime = at;
    try {
      await audio.play();
    } catch (error) {
      if (error.name === "NotAllowedError") toast(say("The browser wants a click before it plays."));
    }
  },
  toggle() {
    if (!this.clip) return;
    if (this.playing) audio.pause();
    else this.play(this.clip, { among: list, within: place, source: audio.dataset.source });
  },
  pause() { audio.pause(); },
  seek(seconds) {
    audio.currentTime = Math.min(Math.max(seconds, 0), this.duration || 0);
    line();
  },
  /** The next clip of the list, or the one before. */
  step(by) {
    // What its element shows by now, if this clip is still there.
    const now = place?.isConnected ? clipsOf(place) : [];
    if (now.some((each) => each.id === this.clip?.id)) list = now;
    const next = list[list.findIndex((each) => each.id === this.clip?.id) + by];
    if (next) this.play(next, { among: list, within: place });
    return Boolean(next);
  },
  close() {
    audio.pause();
    audio.removeAttribute("src");
    this.clip = null;
    box.hidden = true;
    document.body.classList.remove("plays");
    tell();
  },
};
globalThis.voxPlayer = player;

function show() {
  const { clip } = player;
  box.hidden = false;
  document.body.classList.add("plays");
  box.dataset.emotion = clip.emotion ?? "neutral";
  part("title").textContent = clip.title;
  part("title").href = `/clips/${clip.id}`;
  part("facts").textContent = [clip.emotionName ?? clip.emotion, clip.voice].filter(Boolean).join(" · ");
  part("speed").textContent = `${audio.playbackRate}×`;
  if ("mediaSession" in navigator) navigator.mediaSession.metadata = new MediaMetadata({ title: clip.title, artist: clip.voice ?? "", album: "Voxledger" });
  line();
}

function line() {
  const { duration } = player;
  const at = dragged ?? audio.currentTime;
  draw(canvas, outline, duration ? at / duration : 0);
  part("at").textContent = clock(at);
  part("length").textContent = clock(duration);
  seek.setAttribute("aria-valuemax", String(Math.round(duration * 10) / 10));
  seek.setAttribute("aria-valuenow", String(Math.round(at * 10) / 10));
  seek.setAttribute("aria-valuetext", say("%(at)s of %(length)s", { at: clock(at), length: clock(duration) }));
}

function tell() {
  box.toggleAttribute("data-playing", player.playing);
  part("play").setAttribute("aria-label", player.playing ? say("Pause") : say("Play"));
  mark(document);
  if ("mediaSession" in navigator) navigator.mediaSession.playbackState = player.clip ? (player.playing ? "playing" : "paused") : "none";
  moved();
}

function moved() {
  document.dispatchEvent(new CustomEvent("vox:player", { detail: { clip: player.clip, playing: player.playing, at: player.at, duration: player.duration } }));
}

// Buttons of the clip that plays show it.
function mark(root) {
  for (const button of root.querySelectorAll("[data-play]")) {
    const mine = player.clip !== null && of(button).id === player.clip.id;
    button.classList.toggle("current", mine);
    button.setAttribute("aria-pressed", String(mine && player.playing));
  }
}

const of = (button) => JSON.parse(button.dataset.play);
const clipsOf = (element) => [...element.querySelectorAll("[data-play]")].map(of);

function clicked(button) {
  const clip = of(button);
  if (player.clip?.id === clip.id) return player.toggle();
  const within = button.closest("[data-playlist]");
  return player.play(clip, { among: within ? clipsOf(within) : [clip], within });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-play]");
  if (button) {
    event.preventDefault();
    clicked(button);
  }
  const does = event.target.closest?.("[data-player]")?.dataset.player;
  if (does === "toggle") player.toggle();
  else if (does === "next") player.step(1);
  else if (does === "previous") {
    if (audio.currentTime > 3 || !player.step(-1)) player.seek(0);
  } else if (does === "close") player.close();
  else if (does === "speed") {
    audio.playbackRate = SPEEDS[(SPEEDS.indexOf(audio.playbackRate) + 1) % SPEEDS.length];
    sessionStorage.setItem("speed", String(audio.playbackRate));
    part("speed").textContent = `${audio.playbackRate}×`;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== " " || event.defaultPrevented || typing(event.target) || document.querySelector("dialog[open]")) return;
  const focused = event.target.closest?.("button, a, summary, [role=slider], input");
  if (focused && !focused.matches("[data-play]") && focused !== seek) return;
  const button = focused?.matches("[data-play]") ? focused : event.target.closest?.("[data-clip]")?.querySelector("[data-play]");
  if (!button && !player.clip) return;
  event.preventDefault();
  if (button) clicked(button);
  else player.toggle();
});

seek.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 }[event.key];
  if (by) player.seek(player.at + by);
  else if (event.key === "Home") player.seek(0);
  else if (event.key === "End") player.seek(player.duration);
  else return;
  event.preventDefault();
});
const pointed = (event) => {
  const { left, width } = seek.getBoundingClientRect();
  return (Math.min(Math.max(event.clientX - left, 0), width) / width) * player.duration;
};
seek.addEventListener("pointerdown", (event) => {
  seek.setPointerCapture(event.pointerId);
  dragged = pointed(event);
  line();
});
seek.addEventListener("pointermove", (event) => {
  if (dragged === null) return;
  dragged = pointed(event);
  line();
});
seek.addEventListener("pointerup", () => {
  if (dragged === null) return;
  const to = dragged;
  dragged = null;
  player.seek(to);
});
seek.addEventListener("pointercancel", () => {
  dragged = null;
  line();
});

for (const name of ["play", "pause"]) audio.addEventListener(name, tell);
audio.addEventListener("ended", () => player.step(1) || tell());
for (const name of ["loadedmetadata", "seeked"]) audio.addEventListener(name, () => { line(); moved(); });
audio.addEventListener("error", async () => {
  if (!player.clip || !audio.getAttribute("src")) return;
  tell();
  // The element does not say why; the node does.
  const answer = await ask(audio.dataset.source, { headers: { Range: "bytes=0-0" } });
  if (answer !== null) toast(say("This browser cannot play the clip's format."), { remedy: say("Download it, and hear it in another player."), bad: true });
});
(function follow() {
  if (player.playing && dragged === null) {
    line();
    moved();
  }
  requestAnimationFrame(follow);
})();
new ResizeObserver(line).observe(seek);
document.addEventListener("vox:theme", line);
document.addEventListener("htmx:load", (event) => mark(event.detail.elt));
document.addEventListener("vox:added", (event) => mark(event.target));

if ("mediaSession" in navigator) {
  const acts = {
    play: () => player.toggle(), pause: () => player.pause(), nexttrack: () => player.step(1), previoustrack: () => player.step(-1),
    seekto: ({ seekTime }) => player.seek(seekTime),
  };
  for (const [name, act] of Object.entries(acts)) navigator.mediaSession.setActionHandler(name, act);
}
