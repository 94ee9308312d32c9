// The library: filters that answer at once, pages that follow, and clips that are picked to do something with many.

import { ask, attach, remember, say, toast, typing } from "./app.js";
import { pinned, starred } from "./clips.js";

const WAIT = 180;
const FILE_BYTES = 550_000;
const picked = new Set();
let all = null;
let last = null;
let redrawn = null;

const form = () => document.getElementById("library-form");
const bar = () => document.querySelector("[data-bulk]");
const boxes = () => [...document.querySelectorAll("#results .pick input")];

// Filters.

attach("#library-form", (element) => {
  let waiting = 0;
  const now = () => {
    clearTimeout(waiting);
    told(element);
    globalThis.htmx?.trigger(element, "ask");
  };
  const changed = (event) => {
    const { target } = event;
    if (target.form !== element || !target.name || target.id === "library-q") return;
    now();
  };
  const written = (event) => {
    if (event.target.id !== "library-q" || event.isComposing) return;
    clearTimeout(waiting);
    waiting = setTimeout(now, WAIT);
  };
  document.addEventListener("change", changed);
  element.addEventListener("input", written);
  element.addEventListener("compositionend", written);
  element.addEventListener("click", (event) => {
    const preset = event.target.closest("[data-low]");
    if (preset) {
      element.elements.shortest.value = preset.dataset.low;
      element.elements.longest.value = preset.dataset.high;
      now();
    }
    if (event.target.closest("[data-clear]")) {
      for (const input of event.target.closest(".filter").querySelectorAll("input[name]")) {
        if (input.type === "checkbox" || input.type === "radio") input.checked = false;
        else input.value = "";
      }
      now();
    }
  });
  element.querySelector(".presets").hidden = false;
  const fold = element.querySelector("[data-filters]");
  const narrow = matchMedia("(max-width: 899.98px)");
  const narrowed = () => {
    fold.hidden = !narrow.matches;
    element.classList.toggle("folded", narrow.matches && fold.getAttribute("aria-expanded") === "false");
  };
  fold.addEventListener("click", () => {
    fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") === "false"));
    narrowed();
  });
  narrow.addEventListener("change", narrowed);
  narrowed();
  told(element);
  return () => {
    clearTimeout(waiting);
    document.removeEventListener("change", changed);
    narrow.removeEventListener("change", narrowed);
  };
});

/** Each filter's button says what is chosen. */
function told(element) {
  let any = 0;
  for (const filter of element.querySelectorAll(".filter")) {
    const chosen = [...filter.querySelectorAll("input:checked")].map((input) => input.closest("label").querySelector("span:not(.stars):not(.num)").textContent.trim());
    const given = [...filter.querySelectorAll(".between input")].map((input) => input.value);
    if (given.some(Boolean)) chosen.push(given.map((value) => value || "…").join(" – "));
    const said = filter.querySelector("summary span");
    const { title } = said.dataset;
    said.textContent = chosen.length ? `${title}: ${chosen[0]}${chosen.length > 1 ? ` +${chosen.length - 1}` : ""}` : title;
    filter.querySelector("summary").classList.toggle("on", chosen.length > 0);
    any += chosen.length;
  }
  const clear = element.querySelector(".clear-all");
  clear.hidden = !any;
  const words = element.elements.q.value.trim();
  clear.setAttribute("href", words ? `/library?q=${encodeURIComponent(words)}` : "/library");
  globalThis.htmx?.process(clear); // which reads where a link leads when it first sees it
  element.querySelector("[data-filters]").classList.toggle("on", any > 0);
}

attach(".filter", (filter) => {
  const values = filter.querySelector(".values");
  const find = filter.querySelector("[data-find]");
  let waiting = 0;
  const fetch = () => {
    if (!values) return;
    values.setAttribute("hx-vals", JSON.stringify({ field: filter.dataset.filter, find: find?.value.trim() ?? "" }));
    globalThis.htmx?.trigger(values, "open");
  };
  filter.addEventListener("toggle", () => {
    if (!filter.open) return;
    const panel = filter.querySelector(".panel");
    panel.classList.remove("left");
    panel.classList.toggle("left", panel.getBoundingClientRect().right > innerWidth - 8 && innerWidth >= 900);
    if (find && find.value) find.value = "";
    fetch();
    if (matchMedia("(hover: hover)").matches) (find ?? panel.querySelector("input"))?.focus();
  });
  find?.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(fetch, WAIT);
  });
  find?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      values.querySelector("input")?.click();
    }
  });
  return () => clearTimeout(waiting);
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll(".filter[open]")) if (!open.contains(event.target)) open.open = false;
});

// A form that was not filled in says nothing in the address.
document.addEventListener("htmx:configRequest", (event) => {
  const { formData, elt } = event.detail;
  if (!formData || !elt.closest?.(".library")) return;
  for (const name of [...new Set(formData.keys())]) {
    const given = formData.getAll(name).filter((value) => value !== "");
    formData.delete(name);
    for (const value of given) formData.append(name, value);
  }
});

// The next page is fetched before its place comes into sight.
attach("#more", (more) => {
  const near = new IntersectionObserver(([entry]) => entry.isIntersecting && globalThis.htmx?.trigger(more, "near"), { rootMargin: "1200px" });
  near.observe(more);
  return () => near.disconnect();
});

// Who hears the last clip of the list hears on.
document.addEventListener("vox:last", ({ target }) => {
  const more = target.querySelector("#more");
  if (more) globalThis.htmx?.trigger(more, "near");
});

// Grid or list: the same clips, so nothing is fetched.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-view]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { view } = link.dataset;
  remember("library", view);
  for (const each of document.querySelectorAll("a[data-view]")) {
    if (each === link) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  const list = document.querySelector("#results .clips");
  list?.classList.toggle("grid", view === "grid");
  list?.classList.toggle("rows", view === "rows");
  form().elements.view.value = view;
  history.replaceState(history.state, "", new URL(link.href));
  document.dispatchEvent(new CustomEvent("vox:theme"));
}, true);

// Picking.

attach("#results", (results) => {
  if (all && all.address !== results.dataset.results) all = null;
  if (redrawn !== results.dataset.results) picked.clear();
  redrawn = null;
  last = null;
  show();
});
attach("#results .pick input", (box) => {
  box.checked = all !== null || picked.has(box.value);
});

function pick(box, so) {
  box.checked = so;
  if (so) picked.add(box.value);
  else picked.delete(box.value);
  last = box;
}

function show() {
  const at = bar();
  if (!at) return;
  const number = all ? all.clips : picked.size;
  at.hidden = number === 0;
  document.body.classList.toggle("picking", number > 0);
  at.querySelector("[data-bulk-count]").textContent = number.toLocaleString("en");
  const wider = at.querySelector("[data-bulk-all]");
  wider.hidden = all !== null || !document.getElementById("more");
  for (const button of at.querySelectorAll("[data-act]")) button.disabled = number > Number(at.dataset.most) && button.dataset.act !== "hold";
}

function none() {
  all = null;
  picked.clear();
  for (const box of boxes()) box.checked = false;
  show();
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.(".pick input");
  const row = event.target.closest?.("#results .clip");
  if (box) {
    unlessAll();
    const among = boxes();
    if (event.shiftKey && last && among.includes(last)) {
      const [from, to] = [among.indexOf(last), among.indexOf(box)].sort((one, other) => one - other);
      for (const each of among.slice(from, to + 1)) pick(each, box.checked);
    }
    pick(box, box.checked);
    show();
  } else if (row && (event.ctrlKey || event.metaKey || event.shiftKey) && !event.target.closest("a, button, label")) {
    event.preventDefault();
    getSelection()?.removeAllRanges();
    const mine = row.querySelector(".pick input");
    unlessAll();
    const among = boxes();
    if (event.shiftKey && last && among.includes(last)) {
      const [from, to] = [among.indexOf(last), among.indexOf(mine)].sort((one, other) => one - other);
      for (const each of among.slice(from, to + 1)) pick(each, true);
    } else pick(mine, !mine.checked);
    show();
  }
  if (event.target.closest?.("[data-bulk-none]")) none();
  if (event.target.closest?.("[data-bulk-all]")) everything();
  const act = event.target.closest?.("[data-act]")?.dataset.act;
  if (act) begin(act);
});

// Who unpicks one of all picks by hand from then on.
function unlessAll() {
  if (all === null) return;
  all = null;
  for (const box of boxes()) if (box.checked) picked.add(box.value);
}

async function everything() {
  const address = document.getElementById("results").dataset.results;
  const found = await ask(address.replace("/library", "/library/all"));
  if (found === null) return;
  all = { ...found, address };
  bar().dataset.most = found.most;
  for (const box of boxes()) box.checked = true;
  show();
  if (found.clips > found.most) toast(say("Only a hold takes so many clips at once; anything else at most %(num)s.", { num: found.most.toLocaleString("en") }), { remedy: say("Narrow it down, for example by date.") });
}

const chosen = () => (all ? { all: all.address.replace(/^[^?]*\??/, ""), before: all.before, confirmed: all.clips } : { clips: [...picked] });
const number = () => (all ? all.clips : picked.size);
const numbered = (text) => text.replace("%(num)s", number().toLocaleString("en"));

// Doing something with what is picked.

function begin(act) {
  const dialog = document.getElementById(`bulk-${act}`);
  if (dialog) {
    for (const said of dialog.querySelectorAll("[data-said]")) said.textContent = numbered(said.dataset.said);
    dialog.querySelector("form").reset();
    dialog.showModal();
  } else if (act === "download") sure(say("Download %(num)s clips with a table of what they are?"), say("Download"), download);
  else if (act === "pin") sure(say("Pin %(num)s clips, so that no rule deletes them?"), say("Pin"), () => change({ pin: {} }));
  else if (act === "unpin") sure(say("Take the pins off %(num)s clips?"), say("Unpin"), () => change({ unpin: true }));
}

// All that match are asked about once more, with their number; what was picked by hand was seen.
function sure(question, answer, go) {
  if (!all) return go();
  const dialog = document.getElementById("bulk-sure");
  dialog.querySelector("[data-sure]").textContent = numbered(question);
  const button = dialog.querySelector("[data-go]");
  button.textContent = answer;
  button.onclick = go;
  return dialog.showModal();
}

document.addEventListener("submit", (event) => {
  const does = event.target.dataset?.bulkForm;
  if (!does || does === "sure") return;
  const given = new FormData(event.target, event.submitter);
  const tags = String(given.get("tags") ?? "").split(/[,，、]/).map((tag) => tag.trim()).filter(Boolean);
  if (does === "tag") change({ tag: tags });
  else if (does === "untag") change({ untag: tags });
  else if (does === "rate") change({ rating: Number(given.get("rating")) });
  else if (does === "hold") hold(given.get("reason"), given.get("until"));
});

async function change(what) {
  bar()?.classList.add("works");
  const done = await ask("/library/change", { method: "POST", body: { ...chosen(), ...what } });
  bar()?.classList.remove("works");
  if (done === null) return;
  const { changed } = done;
  for (const id of changed) {
    if (what.rating) starred(id, what.rating);
    if (what.pin) pinned(id, true);
    if (what.unpin) pinned(id, false);
  }
  const num = done.lasting.toLocaleString("en");
  const lasting = !done.lasting ? "" : what.rating ? say("First ratings, which cannot be undone: %(num)s.", { num }) : say("Not to be undone: %(num)s.", { num });
  toast(changed.length === 1 ? say("1 clip was changed.") : say("%(num)s clips were changed.", { num: changed.length.toLocaleString("en") }), {
    remedy: `${left(done)} ${lasting}`.trim(),
    action: done.back.length ? { label: say("Undo"), act: () => restore(done.back) } : null,
  });
  if (what.tag || what.untag) again();
}

/** Undoes a change: each clip gets back what it had. */
async function restore(back) {
  const done = await ask("/library/restore", { method: "POST", body: { back } });
  if (done === null) return;
  toast(say("Undone."), { remedy: left(done) });
  again();
}

const left = (done) => [
  done.purged && say("%(num)s have no audio any more.", { num: done.purged }),
  done.missing && say("%(num)s are not there any more.", { num: done.missing }),
].filter(Boolean).join(" ");

/** The list as it is now; what was picked stays so. */
function again() {
  const results = document.getElementById("results");
  if (!results) return;
  redrawn = results.dataset.results;
  globalThis.htmx?.trigger(form(), "ask");
}

async function hold(reason, until) {
  bar()?.classList.add("works");
  const done = await ask("/library/hold", { method: "POST", body: { ...chosen(), reason, until: until || null } });
  bar()?.classList.remove("works");
  if (done === null) return;
  if (done.state === "running") toast(say("The hold is being placed."));
  else toast(say("Held: %(num)s clips.", { num: (done.result?.clips ?? number()).toLocaleString("en") }));
}

function download() {
  const asked = JSON.stringify(chosen());
  if (asked.length > FILE_BYTES) return toast(say("These are too many to download at once."), { bad: true });
  const sends = document.getElementById("library-download");
  sends.elements.asked.value = asked;
  return sends.submit();
}

// Keys.

document.addEventListener("vox:clip-key", (event) => {
  const { key, clip } = event.detail;
  if (key === "Enter" || (all === null && !picked.has(clip))) return;
  event.preventDefault(); // one of those that are picked: all of them
  if (key !== "p") sure(say("Rate %(num)s clips with %(rating)s of 5?", { rating: key }), say("Rate"), () => change({ rating: Number(key) }));
  else begin(event.target.querySelector("[data-pin]")?.getAttribute("aria-pressed") === "true" ? "unpin" : "pin");
});
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || !document.getElementById("results") || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    const open = document.querySelector(".filter[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (event.target.id === "library-q") event.target.blur();
    else if (!typing(event.target)) none();
    return;
  }
  if (typing(event.target)) {
    if (event.target.id === "library-q" && event.key === "ArrowDown") {
      event.preventDefault();
      document.querySelector("#results .clip")?.focus();
    }
    return;
  }
  const row = event.target.closest?.("#results .clip");
  if ((event.ctrlKey || event.metaKey) && event.key === "a" && row) {
    event.preventDefault();
    for (const box of boxes()) pick(box, true);
    show();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const box = row?.querySelector(".pick input");
  if (event.key === "x" && box) {
    unlessAll();
    pick(box, !box.checked);
    show();
  } else if (["ArrowDown", "ArrowUp"].includes(event.key) && event.target === row) {
    event.preventDefault();
    (event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling)?.focus?.();
  }
});
