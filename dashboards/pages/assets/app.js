// What every page needs: going from page to page, toasts, dialogs, keys, theme and zone. Pages add themselves with `attach`.

const words = globalThis.voxWords ?? {};
const attached = [];
const living = new WeakMap();

/** A sentence in the page's language; the English is the key. `%(name)s` is filled from `values`. */
export function say(english, values = {}) {
  return (words[english] ?? english).replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Calls `begin(element)` for every element of a selector, those that htmx brings later too; what it returns is called at its end. */
export function attach(selector, begin) {
  attached.push([selector, begin]);
  start(document.documentElement, [[selector, begin]]);
}

function start(root, pairs = attached) {
  for (const [selector, begin] of pairs) {
    for (const element of [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)]) {
      const known = living.get(element) ?? new Map();
      if (known.has(begin)) continue;
      known.set(begin, begin(element));
      living.set(element, known);
    }
  }
}

function end(root) {
  for (const element of [root, ...root.querySelectorAll("*")]) {
    for (const stop of living.get(element)?.values() ?? []) if (typeof stop === "function") stop();
    living.delete(element);
  }
}

/** Shows a message for a while; one that is bad stays until it is closed. `action` is `{label, act}`, a button such as “Undo”. */
export function toast(message, { remedy = "", bad = false, action = null } = {}) {
  const made = document.createElement("div");
  made.className = bad ? "toast bad" : "toast";
  const said = document.createElement("div");
  for (const text of [message, remedy]) {
    if (!text) continue;
    const line = document.createElement("p");
    line.textContent = text;
    said.append(line);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet";
  close.setAttribute("aria-label", say("Close"));
  close.textContent = "×";
  close.addEventListener("click", () => made.remove());
  made.append(said);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      made.remove();
      action.act();
    });
    made.append(button);
  }
  made.append(close);
  const all = document.getElementById("toasts");
  all.append(made);
  while (all.children.length > 4) all.firstElementChild.remove();
  if (!bad) goes(made, action ? 10000 : 5000);
}

/** Takes a toast away after a while; whoever points at it, or has come to it by keyboard, is not hurried. */
function goes(made, lasting) {
  let timer = setTimeout(() => made.remove(), lasting);
  for (const stays of ["pointerenter", "focusin"]) made.addEventListener(stays, () => clearTimeout(timer));
  for (const leaves of ["pointerleave", "focusout"]) {
    made.addEventListener(leaves, () => {
      clearTimeout(timer);
      timer = setTimeout(() => made.remove(), lasting);
    });
  }
}

/** Asks the node; gives what it answers, decoded. What cannot be done is a toast, and null. `body` is sent as JSON. */
export async function ask(address, { method = "GET", body, quiet = false, ...options } = {}) {
  try {
    const answer = await fetch(address, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      ...options,
    });
    if (answer.ok) return answer.status === 204 ? {} : (answer.headers.get("content-type") ?? "").includes("json") ? await answer.json() : await answer.text();
    if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    else if (!quiet) refused(await answer.text());
  } catch (error) {
    if (error.name !== "AbortError" && !quiet) toast(say("The node does not answer."), { remedy: say("Look whether it still runs, and try again."), bad: true });
  }
  return null;
}

/** Shows the error of an answer in the one shape that all routes have. */
export function refused(text) {
  let told = {};
  try {
    told = JSON.parse(text).error ?? {};
  } catch {
    // no JSON: the answer of something in between
  }
  toast(told.message ?? say("That did not work."), { remedy: told.remedy ?? "", bad: true });
}

/** The value of a colour of the stylesheets, such as `--happy`, as the browser has it now. */
export function colour(name, element = document.body) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  element.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** `0:04`, `1:02:30`. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds || 0));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, "0")];
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Remembers something about how this browser shows the pages, for a year. */
export function remember(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

/** Copies a text and says so, also where the browser has no clipboard for pages: over plain http from another machine. Gives whether it could. */
export async function copy(text, { otherwise = say("Mark it, and copy it with the keyboard.") } = {}) {
  const done = (await navigator.clipboard?.writeText(text).then(() => true, () => false)) || selected(text);
  if (done) toast(say("Copied"));
  else toast(say("The browser does not let pages copy here."), { remedy: otherwise });
  return done;
}

function selected(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(area); // outside of an open dialog nothing can be selected
  area.focus({ preventScroll: true });
  area.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
    focused?.focus({ preventScroll: true });
  }
}

/** Whether somebody is typing, so that a key is a letter and no command. */
export const typing = (target) => !!target.closest?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable], .cm-editor");

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`zone=${encodeURIComponent(zone)}`)) {
  remember("zone", zone);
}

// Whoever goes on before a page has come wants the last one, whichever answer is faster.
let coming = null;
document.addEventListener("htmx:beforeSend", ({ detail }) => {
  if (detail.boosted) coming = detail.xhr;
});
addEventListener("popstate", () => {
  coming = null;
});
// Going from page to page swaps #main, so that the player goes on.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = event;
  if (detail.boosted && detail.xhr !== coming) {
    detail.shouldSwap = false;
    return;
  }
  if (detail.boosted && detail.target === document.body) {
    detail.target = document.getElementById("main");
    detail.selectOverride = "#main";
    detail.swapOverride = "outerHTML show:window:top";
    if (detail.xhr.status >= 400 && (detail.xhr.getResponseHeader("content-type") ?? "").includes("html")) {
      detail.shouldSwap = true;
      detail.isError = false;
    }
  }
});
document.addEventListener("htmx:load", (event) => start(event.detail.elt));
document.addEventListener("htmx:beforeCleanupElement", (event) => event.detail.elt instanceof Element && end(event.detail.elt));
document.addEventListener("htmx:responseError", (event) => refused(event.detail.xhr.responseText));
document.addEventListener("htmx:sendError", () => toast(say("The node does not answer."), { remedy: say("Look whether it still runs, and try again."), bad: true }));
for (const name of ["htmx:pushedIntoHistory", "htmx:replacedInHistory", "htmx:historyRestore", "htmx:historyCacheMissLoad"]) document.addEventListener(name, where);

// Going back fills #main, and leaves its classes to us.
document.addEventListener("htmx:historyCacheMissLoad", ({ detail }) => {
  detail.historyElt.className = /<main [^>]*\bclass="([^"]*)"/.exec(detail.response)?.[1] ?? "";
});

// Whether what is shown was come to by Back or Forward.
let again = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
export const returned = () => again;
addEventListener("popstate", () => { again = true; });
for (const name of ["htmx:pushedIntoHistory", "htmx:replacedInHistory"]) document.addEventListener(name, () => { again = false; });

function where() {
  for (const link of document.querySelectorAll(".rail a[href]:not(.brand)")) {
    if (location.pathname === link.pathname || (link.pathname !== "/" && location.pathname.startsWith(`${link.pathname}/`))) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const input of document.querySelectorAll(".me input[name=next]")) input.value = location.pathname + location.search;
  document.querySelector(".me")?.removeAttribute("open");
}

document.addEventListener("click", (event) => {
  const { target } = event;
  const copied = target.closest?.("[data-copy]");
  if (copied) copy(copied.dataset.copy);
  const opens = target.closest?.("[data-dialog]");
  if (opens) document.getElementById(opens.dataset.dialog)?.showModal();
  if (target.closest?.("[data-show-keys]")) keys();
  if (target.closest?.("[data-close]")) target.closest("dialog")?.close();
  if (target instanceof HTMLDialogElement && target.open && outside(event, target)) target.close();
  const menu = document.querySelector(".me[open]");
  if (menu && !menu.contains(target)) menu.removeAttribute("open");
});

function outside(event, dialog) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

function keys() {
  document.querySelector(".me")?.removeAttribute("open");
  document.getElementById("keys")?.showModal();
}

// The theme changes at once, and is remembered without a new page.
document.addEventListener("submit", (event) => {
  const chosen = event.submitter?.name === "theme" && event.target.matches("[data-theme-choice]") ? event.submitter.value : null;
  if (!chosen) return;
  event.preventDefault();
  remember("theme", chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
  document.dispatchEvent(new CustomEvent("vox:theme"));
});
// Whoever signs out leaves nothing here of what they wrote: drafts and history of SQL, texts and takes of the studio,
// addresses of lists with the words that were looked for.
document.addEventListener("submit", (event) => {
  if (!(event.target.getAttribute("action") ?? "").startsWith("/sign-out")) return;
  forget();
  addEventListener("pagehide", forget); // after the pages, which keep their drafts then
});

function forget() {
  for (const kept of [localStorage, sessionStorage]) {
    for (const name of Object.keys(kept)) if (["vox.sql.", "vox.library.", "studio "].some((own) => name.startsWith(own))) kept.removeItem(name);
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("vox:theme")));

let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.querySelector(".me[open]")) {
    const menu = document.querySelector(".me");
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target) || document.querySelector("dialog[open]")) return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const link = document.querySelector(`.rail-pages a[data-key="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
    }
    return;
  }
  if (event.key === "g") going = Date.now();
  else if (event.key === "?") keys();
  else if (event.key === "/") {
    const search = document.querySelector("main input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
});

// In a list with `data-keys`, j and k go from row to row.
function step(by) {
  const list = document.querySelector("main [data-keys]");
  if (!list) return;
  const rows = [...list.children];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
  const target = row?.matches("a, button, [tabindex]") ? row : row?.querySelector("[data-play], a, button");
  target?.focus();
  row?.scrollIntoView({ block: "nearest" });
}
