// The SQL console: what is asked, what comes of it, and what stands around it.

import { ask, attach, copy, say, toast } from "./app.js";
import { chart } from "./sql-chart.js";
import { editor } from "./sql-editor.js";
import { browser, past, saved, tabs, told } from "./sql-shelf.js";
import { element, table } from "./sql-table.js";
import { given } from "./sql-given.js";

const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const home = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
const count = (value) => Number(value).toLocaleString(language);
const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const SUFFIX = { csv: "csv", json: "json", parquet: "parquet", arrow: "arrows" };
const mac = /Mac|iPhone|iPad/.test(navigator.platform);

function begin(root) {
  const facts = JSON.parse(root.dataset.sql);
  const part = (name) => root.querySelector(`[data-${name}]`);
  const act = (name) => root.querySelector(`[data-act="${name}"]`);
  const draftName = `vox.sql.draft.${facts.me}`;
  const place = part("editor");
  const area = place.querySelector("textarea");
  const { standing, end: endStanding } = stand();
  const answer = part("answer");
  let controller = null;
  let shown = null;
  let last = null;
  let zone = remembered("vox.sql.zone") === "local" ? home : "UTC";
  let opened = facts.saved ? { name: facts.saved, query: area.value, mine: null } : null;
  let ends = [];
  let timer = 0;

  const addressed = new URLSearchParams(location.search);
  const draft = addressed.has("q") || facts.saved ? null : remembered(draftName, true);
  const fields = given(part("given"), { run, wanted: addressed.getAll("param") });
  const input = editor(place, { text: draft?.query ?? area.value, run, changed });
  area.parentElement.querySelector("label").remove();
  area.remove();
  if (draft) {
    fields.restore(draft.params ?? {});
    opened = draft.saved ? { name: draft.saved, query: draft.of ?? "", mine: null } : null;
  }
  if (mac) part("mod").textContent = "⌘";
  fields.show(input.text());
  title();

  // ---- what stands in the editor

  function changed(text) {
    fields.show(text);
    trouble(null);
    title();
    clearTimeout(timer);
    timer = setTimeout(keep, 400);
  }

  function keep() {
    clearTimeout(timer);
    const query = input.text();
    try {
      if (query.trim()) localStorage.setItem(draftName, JSON.stringify({ query, params: fields.texts(), saved: opened?.name, of: opened?.query }));
      else localStorage.removeItem(draftName);
    } catch {
      // no room, or none wanted: then nothing is kept
    }
  }

  function title() {
    const text = input.text();
    part("title").textContent = opened?.name ?? say("New query");
    const changedSince = opened && text.trim() !== opened.query.trim();
    const whose = opened && opened.mine === false ? (opened.by ? say("by %(name)s", { name: opened.by }) : say("nobody's")) : "";
    part("of").textContent = [whose, changedSince ? say("changed") : ""].filter(Boolean).join(" · ");
    part("of").hidden = !part("of").textContent;
    part("examples").hidden = !!shown || (!!text.trim() && !part("examples").dataset.open);
    act("save").disabled = !text.trim();
    act("link").disabled = !text.trim();
  }

  function open(query, { name = null, by = null, mine = null, params = {} } = {}) {
    opened = name ? { name, query, by, mine } : null;
    fields.restore(params);
    input.set(query);
    title();
    addressed.delete("q");
    history.replaceState(history.state, "", name ? `/sql?saved=${encodeURIComponent(name)}` : "/sql");
    input.focus();
  }

  // ---- asking

  async function run() {
    if (controller || root.hasAttribute("data-off")) return;
    const { query, from } = input.asked();
    if (!query.trim()) return input.focus();
    const params = fields.values(query);
    if (!params) return;
    trouble(null);
    keep();
    const began = performance.now();
    running(began);
    const body = { query, params, format: "json", rows: facts.shown };
    const mine = (controller = new AbortController());
    try {
      const came = await fetch("/api/sql", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: mine.signal });
      const text = await came.text();
      if (came.status === 401) return location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      if (came.ok) {
        last = { query, params };
        show(decoded(text), performance.now() - began);
        log.add({ query: input.text(), params: fields.texts(), time: new Date().toISOString(), rows: shown.row_count });
        standing.of(shown.snapshot.age_s);
        address();
      } else {
        const { error } = JSON.parse(text);
        const at = error.place ? placed(query, error.place, from) : null;
        log.add({ query: input.text(), params: fields.texts(), time: new Date().toISOString(), failed: true });
        trouble(error, at);
      }
    } catch (error) {
      if (error.name === "AbortError") part("took").textContent = say("Cancelled after %(num)s s", { num: seconds(began) });
      else trouble({ message: say("The node does not answer."), remedy: say("Look whether it still runs, and try again.") });
    } finally {
      controller = null;
      running(null);
    }
  }

  const seconds = (began) => ((performance.now() - began) / 1000).toFixed(1);
  let ticking = 0;
  function running(began) {
    clearInterval(ticking);
    const had = document.activeElement;
    const [go, stop] = [act("run"), act("cancel")];
    stop.hidden = began === null;
    go.hidden = began !== null;
    if (had === go && began !== null) stop.focus();
    if (had === stop && began === null) go.focus();
    part("hint").hidden = began !== null;
    answer.toggleAttribute("aria-busy", began !== null);
    if (began === null) return;
    part("took").textContent = say("Running…");
    ticking = setInterval(() => (part("took").textContent = say("Running for %(num)s s", { num: seconds(began) })), 200);
  }

  // The address has what was asked, so that it can be shared.
  function address() {
    const query = input.text();
    const values = Object.entries(fields.texts()).filter(([, value]) => value !== "").map(([name, value]) => `&param=${encodeURIComponent(`${name}=${value}`)}`).join("");
    const same = opened && opened.query.trim() === query.trim();
    const found = same ? `/sql?saved=${encodeURIComponent(opened.name)}${values}` : `/sql?q=${encodeURIComponent(query)}${values}`;
    if (found.length < 6000) history.replaceState(history.state, "", found);
    return found;
  }

  function trouble(error, at = null) {
    const room = part("trouble");
    const place = input?.mark(at);
    room.hidden = !error;
    if (!error) return room.replaceChildren();
    const box = element("div", "fault", { role: "alert" });
    const said = element("div");
    said.append(element("p", "fault-message", {}, error.message));
    if (error.remedy) said.append(element("p", "soft", {}, error.remedy));
    box.append(said);
    if (place) {
      const button = element("button", "button small", { type: "button" }, say("Line %(line)s, column %(column)s", place));
      button.addEventListener("click", () => input.reveal(at.from));
      box.append(button);
    }
    room.replaceChildren(box);
    part("took").textContent = "";
  }

  // ---- the answer

  function show(found, elapsed) {
    end();
    shown = found;
    answer.hidden = false;
    part("examples").hidden = true;
    delete part("examples").dataset.open;
    part("took").textContent = say("%(num)s ms, of which %(own)s for the query", { num: count(Math.round(elapsed)), own: count(Math.round(found.took_ms)) });
    const more = found.truncated ? (found.row_count >= facts.shown ? say("The first %(num)s rows; a download has more", { num: count(found.row_count) }) : say("%(num)s rows; the rest is beyond the limit of an answer", { num: count(found.row_count) })) : found.row_count === 1 ? say("1 row") : say("%(num)s rows", { num: count(found.row_count) });
    part("said").textContent = more;
    part("said").classList.toggle("warn", found.truncated);
    view(answer.querySelector("[data-view][aria-pressed=true]").dataset.view);
    title();
  }

  let grid = null;
  function view(which) {
    for (const button of answer.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === which));
    part("table").hidden = which !== "table";
    part("chart-room").hidden = which !== "chart";
    if (!shown) return;
    if (!grid) {
      grid = table(part("table"), shown, { zone, clips: root.hasAttribute("data-clips") });
      ends.push(grid.end);
      globalThis.htmx?.process(part("table"));
    }
    part("zone").hidden = !grid.zones || home === "UTC" || which !== "table";
    part("zone").textContent = zone === "UTC" ? say("Times in UTC") : say("Times in %(zone)s", { zone: zone.split("/").at(-1).replaceAll("_", " ") });
    if (which === "chart" && !part("chart-room").children.length) ends.push(chart(part("chart-room"), shown, { zone }));
  }

  function end() {
    for (const each of ends) each();
    ends = [];
    grid = null;
    part("table").replaceChildren();
    part("chart-room").replaceChildren();
  }

  // ---- taking it along

  async function download(format) {
    part("fetch").open = false;
    if (!last) return;
    const leaving = new AbortController();
    const note = element("span", "soft");
    part("took").replaceChildren(note);
    note.textContent = say("Fetching…");
    try {
      const came = await fetch("/api/sql", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...last, format }), signal: leaving.signal });
      if (!came.ok) return trouble((await came.json()).error);
      const parts = [];
      let held = 0;
      for (const reader = came.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        held += value.length;
        note.textContent = say("Fetching… %(size)s", { size: size(held) });
      }
      const link = element("a", "", { download: `${opened?.name ?? "answer"}.${SUFFIX[format]}` });
      link.href = URL.createObjectURL(new Blob(parts, { type: came.headers.get("content-type") ?? "" }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      const rows = count(came.headers.get("x-voxledger-rows"));
      note.textContent = say("%(rows)s rows, %(size)s", { rows, size: size(held) });
      if (came.headers.get("x-voxledger-truncated") === "true") {
        toast(say("The file ends after %(rows)s rows: that is the limit of an answer", { rows }), { remedy: say("Ask for less, or for it in parts: by day, say.") });
      }
    } catch {
      trouble({ message: say("The answer broke off."), remedy: say("Try again.") });
    }
  }

  // ---- saving

  const dialog = document.getElementById("save-query");
  const form = dialog.querySelector("form");
  let replacing = null;
  function save() {
    replacing = null;
    const text = input.text();
    const comment = /^\s*--[ \t]?(.*)/.exec(text)?.[1].trim() ?? "";
    form.elements.name.value = opened?.name ?? named(comment);
    form.elements.about.value = comment;
    form.elements.about.disabled = /^\s*--.*\n\s*--/.test(text);
    dialog.querySelector("[data-save-error]").textContent = "";
    dialog.showModal();
    form.elements.name.select();
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = form.elements.name.value;
    const about = form.elements.about.disabled ? null : form.elements.about.value.trim().replace(/\s+/g, " ");
    const text = input.text();
    const bare = text.replace(/^\s*--[^\n]*\n/, "");
    const wrong = dialog.querySelector("[data-save-error]");
    if (name !== opened?.name && name !== replacing) {
      const there = await ask(`/api/queries/${encodeURIComponent(name)}`, { quiet: true });
      if (there) {
        replacing = name;
        const whose = there.mine ? say("yours") : there.by ? say("by %(name)s", { name: there.by }) : say("nobody's");
        wrong.textContent = say("There is a query of this name (%(whose)s). Save again to replace it, or choose another name.", { whose });
        return;
      }
    }
    const query = about === null ? text : about ? `-- ${about}\n${bare}` : bare;
    const found = await told(`/api/queries/${encodeURIComponent(name)}`, "PUT", { query }, wrong);
    if (!found) return;
    dialog.close();
    if (query.trim() !== text.trim()) input.set(found.query);
    opened = { name: found.name, query: found.query, by: found.by, mine: found.mine };
    title();
    keep();
    history.replaceState(history.state, "", `/sql?saved=${encodeURIComponent(name)}`);
    toast(say("Saved as %(name)s", { name }));
    list.show();
  });

  // ---- around it

  const log = past(part("history"), { name: `vox.sql.history.${facts.me}`, open: (entry) => open(entry.query, { params: entry.params }) });
  const list = saved(part("saved-list"), {
    admin: facts.admin,
    open: (query) => open(query.query, query),
    renamed: (from, to) => {
      if (opened?.name !== from) return;
      opened.name = to;
      title();
    },
    gone: (name) => {
      if (opened?.name !== name) return;
      opened = null;
      title();
    },
  });
  tabs(root.querySelector("[role=tablist]"), (id) => {
    if (id === "tab-saved") list.show();
    if (id === "tab-history") log.show();
  });
  ask("/api/sql/schema").then((schema) => {
    if (!schema || !root.isConnected) return;
    browser(part("schema"), part("find"), schema, (name) => input.insert(name));
    input.completes(schema);
  });
  if (facts.saved) ask(`/api/queries/${encodeURIComponent(facts.saved)}`, { quiet: true }).then((found) => found && ((opened = found), title()));

  const acts = {
    run, save, cancel: () => controller?.abort(), forget: () => log.forget(), "copy-table": () => grid && copy(grid.text()),
    link: () => copy(new URL(address(), location.href).href),
    new: () => {
      open("");
      end();
      shown = null;
      answer.hidden = true;
      title();
    },
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.act) acts[button.dataset.act]();
    if (button.dataset.act === "copy-table") part("fetch").open = false;
    if (button.dataset.view) view(button.dataset.view);
    if (button.dataset.format) download(button.dataset.format);
    if (button.dataset.example) open(button.dataset.example);
    if ("zone" in button.dataset) {
      zone = zone === "UTC" ? home : "UTC";
      remember("vox.sql.zone", zone === "UTC" ? "" : "local");
      grid?.zone(zone);
      part("chart-room").replaceChildren();
      view("table");
    }
  });
  const outside = (event) => part("fetch").open && !part("fetch").contains(event.target) && (part("fetch").open = false);
  document.addEventListener("click", outside);
  addEventListener("pagehide", keep);
  title();
  if (!matchMedia("(max-width: 899.98px)").matches) input.focus();

  return () => {
    keep();
    controller?.abort();
    end();
    endStanding();
    clearInterval(ticking);
    document.removeEventListener("click", outside);
    removeEventListener("pagehide", keep);
    input.end();
  };
}

/** How old the snapshot is, looked up while the page is seen; `of(age)` tells what an answer said. */
function stand() {
  const root = document.querySelector("[data-stand]");
  const words = root.querySelector("[data-age]");
  const renew = root.querySelector("[data-renew]");
  let facts = JSON.parse(root.dataset.stand);
  let since = Date.now();
  const write = () => {
    const { age_s: age } = facts;
    if (age === null) {
      words.textContent = facts.off ? say("No snapshot") : say("The first snapshot is being made");
      root.dataset.state = "none";
    } else {
      const now = age < 2 ? age : age + (Date.now() - since) / 1000;
      words.textContent = now < 2 ? say("Snapshot is up to date") : say("Snapshot is %(span)s old", { span: span(now) });
      root.dataset.state = now < 2 ? "new" : now > facts.refresh_s ? "old" : "young";
    }
    renew.hidden = !!facts.off || age === null || age < 2;
  };
  const take = (found) => {
    if (!found) return;
    facts = found;
    since = Date.now();
    write();
  };
  const look = async () => document.visibilityState === "visible" && take(await ask("/api/sql", { quiet: true }));
  renew.addEventListener("click", async () => {
    renew.disabled = true;
    take(await ask("/api/sql/snapshot", { method: "POST" }));
    renew.disabled = false;
  });
  // Whoever opens this page will ask something: what the first question would wait for is begun now.
  if (!facts.off && (facts.age_s === null || facts.age_s >= 2 * facts.refresh_s)) ask("/api/sql/snapshot", { method: "POST", quiet: true }).then(take);
  const ticks = [setInterval(write, 1000), setInterval(look, 20_000)];
  document.addEventListener("visibilitychange", look);
  write();
  return {
    standing: { of: (age) => take({ ...facts, age_s: age }) },
    end() {
      ticks.forEach(clearInterval);
      document.removeEventListener("visibilitychange", look);
    },
  };
}

const span = (s) => (s < 60 ? say("%(num)s s", { num: Math.round(s) }) : s < 3570 ? say("%(num)s min", { num: Math.round(s / 60) }) : say("%(num)s h", { num: Math.round(s / 3600) }));

/** A part of a query that the node tells in characters, in the units of the editor. */
function placed(query, { offset, length }, from) {
  const all = Array.from(query);
  const begin = all.slice(0, offset).join("").length;
  return { from: from + begin, to: from + begin + all.slice(offset, offset + length).join("").length };
}

/** An answer; whole numbers that JavaScript has no room for become text, before anything rounds them. */
function decoded(text) {
  if (!/[[,:]-?\d{16,}[\],}]/.test(text)) return JSON.parse(text);
  // Texts and other numbers are passed over as they stand: digits within them are none of these.
  const parts = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;
  return JSON.parse(text.replace(parts, (part) => (/^-?\d{16,}$/.test(part) && !Number.isSafeInteger(Number(part)) ? `"${part}"` : part)));
}

/** A name for a query, of what it says. */
const named = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 48).replace(/-+$/, "");

function remembered(name, json = false) {
  try {
    const found = localStorage.getItem(name);
    return json ? JSON.parse(found ?? "null") : found;
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // private windows of some browsers keep nothing
  }
}

attach("[data-sql]", begin);
