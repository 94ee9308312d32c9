// The place in the library: whoever opened a clip from it and comes back finds that clip where it was, and goes on from there.

import { attach, returned } from "./app.js";

const KEPT = "vox.library.places"; // what begins so is gone once somebody signs out
const ADDRESSES = 20;
const CLIPS = 1000;
const PAGES = 20;
const NEWER = 100; // so many may have come before it meanwhile
const HIDDEN = 800;
const FRAMES = 60;
const STILL = 4;
let back = null;

const here = () => location.pathname + location.search;

function places() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
  } catch {
    return []; // no storage here: the list begins at its top
  }
}

/** Keeps which clip of the list was opened, how far from the top of the window it was, and how many come before it. */
function keep(row) {
  const address = here();
  const place = { address, clip: row.dataset.clip, top: row.getBoundingClientRect().top, before: [...row.parentElement.children].indexOf(row) };
  try {
    sessionStorage.setItem(KEPT, JSON.stringify([place, ...places().filter((other) => other.address !== address)].slice(0, ADDRESSES)));
  } catch {
    // as above
  }
}

document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const row = plain && event.target.closest?.("#results .clip a[href^='/clips/']")?.closest(".clip");
  if (row) keep(row);
  back = event.target.closest?.("a[data-way-back]") && plain ? event.target.closest("a").getAttribute("href") : null;
}, true);

// A clip's own way to the library leads to the list that it was opened from.
attach("a[data-way-back]", (link) => {
  const [latest] = places();
  if (latest?.clip !== link.dataset.wayBack) return;
  link.setAttribute("href", latest.address);
  globalThis.htmx?.process(link); // it has read where the link leads
});

attach("#results", (results) => {
  const place = returned() || back === here() ? places().find(({ address }) => address === here()) : null;
  back = null;
  if (!place || place.before >= CLIPS) return null;
  const list = results.querySelector(".clips");
  const ends = new AbortController();
  const { signal } = ends;
  for (const own of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(own, () => ends.abort(), { signal, capture: true, passive: true });
  const shown = setTimeout(() => list?.classList.remove("returning"), HIDDEN);
  signal.addEventListener("abort", () => {
    clearTimeout(shown);
    list?.classList.remove("returning");
  });
  list?.classList.add("returning");
  find(results, place, signal).then(async (row) => {
    if (row && !signal.aborted) await put(row, place.top, signal);
    ends.abort();
  });
  return () => ends.abort();
});

/** The clip's row, with the pages before it fetched; null when it is not there, or when somebody does something else meanwhile. */
async function find(results, place, signal) {
  await styled(signal);
  for (let page = 0; page < PAGES && !signal.aborted; page += 1) {
    const row = results.querySelector(`[data-clip="${CSS.escape(place.clip)}"]`);
    const more = results.querySelector("#more");
    if (row || !more || results.querySelectorAll(".clip").length > place.before + NEWER) return row;
    await followed(more, signal);
  }
  return results.querySelector(`[data-clip="${CSS.escape(place.clip)}"]`);
}

/** Once the page looks as it will: styles come with it, and htmx knows it. */
async function styled(signal) {
  if (document.readyState !== "complete") await once(globalThis, ["load"], signal);
  const coming = [...document.querySelectorAll("#main link[rel=stylesheet]")].filter((link) => !link.sheet);
  await Promise.all(coming.map((link) => once(link, ["load", "error"], signal)));
}

/** Once the page that follows is in the list, or could not be had. */
function followed(more, signal) {
  const done = once(document, ["htmx:afterRequest"], signal, ({ detail }) => detail.requestConfig?.elt === more);
  globalThis.htmx?.trigger(more, "near");
  return done;
}

function once(target, names, signal, fits = () => true) {
  return new Promise((resolve) => {
    const heard = (event) => fits(event) && resolve();
    for (const name of names) target.addEventListener(name, heard, { signal });
    signal.addEventListener("abort", resolve);
  });
}

/** Puts the row so far from the top of the window, again and again while rows that come into sight take the room that they need. */
async function put(row, top, signal) {
  const least = document.getElementById("library-form").offsetHeight; // it stays above the list
  for (let frame = 0, still = 0; frame < FRAMES && still < STILL && !signal.aborted; frame += 1) {
    const { top: now, height } = row.getBoundingClientRect();
    const beside = now - Math.max(least, Math.min(top, innerHeight - height));
    still = Math.abs(beside) < 1 ? still + 1 : 0;
    scrollBy({ top: beside, behavior: "instant" });
    await new Promise(requestAnimationFrame);
  }
  row.closest(".clips").classList.remove("returning"); // what is hidden takes no focus
  if (!signal.aborted) row.focus({ preventScroll: true });
}
