// Clips in lists: stars and pins by click and by key. `rate` and `pin` are for whoever does more with them.

import { ask, attach, say, toast, typing } from "./app.js";
import { draw, peaks } from "./waveform.js";

/** Shows that a clip has so many stars. */
export function starred(id, rating) {
  for (const stars of document.querySelectorAll(`[data-rate="${CSS.escape(id)}"]`)) {
    stars.dataset.stars = String(rating ?? 0);
    stars.setAttribute("aria-label", rating ? say("Rated %(num)s of 5", { num: rating }) : say("Not rated"));
  }
}

/** Shows that a clip is pinned, or is not. */
export function pinned(id, so) {
  for (const pin of document.querySelectorAll(`[data-pin="${CSS.escape(id)}"]`)) pin.setAttribute("aria-pressed", String(so));
}

/** Rates a clip, 1 to 5; gives whether it was done. */
export async function rate(id, rating) {
  const before = Number(document.querySelector(`[data-rate="${CSS.escape(id)}"]`)?.dataset.stars ?? 0);
  starred(id, rating);
  const done = await ask(`/api/clips/${id}/rating`, { method: "PUT", body: { rating } });
  if (done === null) starred(id, before);
  return done !== null;
}

/** Pins a clip, or takes its pin off; gives whether it was done. */
export async function pin(id, so) {
  pinned(id, so);
  const done = so ? await ask(`/api/clips/${id}/pin`, { method: "PUT", body: {} }) : await ask(`/api/clips/${id}/pin`, { method: "DELETE" });
  if (done === null) pinned(id, !so);
  else toast(so ? say("Pinned: no rule deletes it.") : say("The pin is off."));
  return done !== null;
}

// The outline of the clip that plays shows how far it is, and a click goes there.
let shown = null;
let outline = null;
document.addEventListener("vox:player", ({ detail: { clip, at, duration } }) => {
  if (!clip || shown?.dataset.wave !== clip.id || !shown.isConnected) {
    if (shown?.isConnected && outline) draw(shown, outline);
    outline = null;
    shown = clip && document.querySelector(`.clip canvas[data-wave="${CSS.escape(clip.id)}"]`);
    const mine = shown;
    if (mine) peaks(clip.id, 200).then((found) => { if (mine === shown) outline = found; });
  }
  if (shown && outline) draw(shown, outline, duration ? at / duration : 0);
});
document.addEventListener("click", async (event) => {
  const wave = event.target.closest?.(".clip-wave[data-seek]");
  if (!wave || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const button = wave.closest(".clip").querySelector("[data-play]");
  const { left, width } = wave.getBoundingClientRect();
  const at = ((event.clientX - left) / width) * (JSON.parse(button.dataset.play).duration || 0);
  const { voxPlayer: player } = globalThis;
  if (player.clip?.id !== wave.closest(".clip").dataset.clip) button.click();
  else if (!player.playing) player.toggle();
  player.seek(at);
});

const pointed = (event, stars) => {
  const { left, width } = stars.getBoundingClientRect();
  return Math.min(5, Math.max(1, Math.ceil(((event.clientX - left) / width) * 5)));
};

attach(".stars.gives", (stars) => {
  stars.addEventListener("pointermove", (event) => stars.style.setProperty("--point", `${20 * pointed(event, stars)}%`));
  stars.addEventListener("click", (event) => rate(stars.dataset.rate, pointed(event, stars)));
});

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-pin]");
  if (button) pin(button.dataset.pin, button.getAttribute("aria-pressed") !== "true");
});

// Keys of the row that has the focus. Whoever listens for `vox:clip-key` and prevents it does something else.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target) || document.querySelector("dialog[open]")) return;
  const row = event.target.closest?.("[data-clip]");
  if (!row) return;
  const { key } = event;
  if (!(/^[1-5]$/.test(key) && row.querySelector("[data-rate]")) && !(key === "p" && row.querySelector("[data-pin]")) && !(key === "Enter" && event.target === row)) return;
  event.preventDefault();
  if (!row.dispatchEvent(new CustomEvent("vox:clip-key", { bubbles: true, cancelable: true, detail: { key, clip: row.dataset.clip } }))) return;
  if (key === "Enter") row.querySelector("a[href^='/clips/']")?.click();
  else if (key === "p") pin(row.dataset.clip, row.querySelector("[data-pin]").getAttribute("aria-pressed") !== "true");
  else rate(row.dataset.clip, Number(key));
});
