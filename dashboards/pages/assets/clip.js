// A clip's page: text that follows the sound, takes side by side, keys, and what is said of what was done.

import { ask, attach, clock, say, toast, typing } from "./app.js";
import { player } from "./player.js";
import { hear } from "./score.js";

const page = () => document.querySelector("main.clip-page");
const main = () => page()?.querySelector(".score [data-play]");

// Segments

attach("[data-segments]", (list) => {
  const id = list.dataset.clipId;
  const said = document.querySelector("[data-score-said]");
  let parts = read();
  let current = null;
  let touched = 0;
  let asking = null;

  function read() {
    return [...list.querySelectorAll(".segment")].map((button) => ({ button, start: Number(button.dataset.at), end: Number(button.dataset.end) }));
  }

  // A book has more of them than the page holds: the others are asked for when they are needed.
  function more() {
    if (parts.length >= Number(list.dataset.all)) return;
    asking ??= ask(`/api/clips/${id}/segments`, { quiet: true }).then((found) => {
      const like = list.querySelector("li");
      const rest = (found?.segments ?? []).slice(parts.length).map(({ start, end, text }) => {
        const row = like.cloneNode(true);
        const button = row.querySelector(".segment");
        const middle = (start + end) / 2;
        const felt = found.passages.find((each) => middle >= each.start && middle < each.end)?.emotion;
        [button.dataset.at, button.dataset.end] = [start, end];
        button.removeAttribute("aria-current");
        if (felt) button.dataset.emotion = felt;
        else delete button.dataset.emotion;
        row.querySelector("time").textContent = clock(start);
        row.querySelector("span").textContent = text.trim() || "–";
        return row;
      });
      list.append(...rest);
      parts = read();
    });
  }

  function follow({ detail: { clip, at, playing } }) {
    const mine = clip?.id === id;
    if (mine && parts.length && at > parts[parts.length - 1].end) more();
    const found = mine ? parts.findLast((part) => part.start <= at + 0.02) ?? null : null;
    const next = found && at < Math.max(found.end, found.start + 0.05) + 0.6 ? found : null;
    if (next === current) return;
    current?.button.removeAttribute("aria-current");
    next?.button.setAttribute("aria-current", "true");
    current = next;
    if (said) said.textContent = next ? next.button.querySelector("span").textContent : "";
    if (next && playing && Date.now() - touched > 4000) {
      const { offsetTop, offsetHeight } = next.button.parentElement;
      const top = offsetTop - list.clientHeight / 2 + offsetHeight / 2;
      list.scrollTo({ top, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    }
  }

  const scrolled = () => list.scrollTop + list.clientHeight > list.scrollHeight - 400 && list.scrollHeight > list.clientHeight && more();
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) list.addEventListener(name, () => { touched = Date.now(); }, { passive: true });
  list.addEventListener("scroll", scrolled, { passive: true });
  document.addEventListener("vox:player", follow);
  return () => document.removeEventListener("vox:player", follow);
});

// Takes side by side

attach("[data-versus]", (bar) => {
  const section = bar.closest("section");
  const rows = [...section.querySelectorAll(".take:has([data-play])")];
  const own = rows.findIndex((row) => row.classList.contains("this"));
  const sides = { a: rows[Math.max(own, 0)], b: rows[own === 0 || own < 0 ? 1 : 0] };
  const clip = (row) => JSON.parse(row.querySelector("[data-play]").dataset.play);

  function show() {
    for (const row of rows)
      for (const button of row.querySelectorAll("[data-as]")) button.setAttribute("aria-pressed", String(sides[button.dataset.as] === row));
    for (const button of bar.querySelectorAll("[data-side]"))
      button.setAttribute("aria-pressed", String(player.clip !== null && clip(sides[button.dataset.side]).id === player.clip?.id));
    const [a, b] = [sides.a, sides.b].map((row) => (row.dataset.lufs === "" ? null : Number(row.dataset.lufs)));
    const by = a === null || b === null || sides.a === sides.b ? 0 : b - a;
    bar.querySelector("[data-louder]").textContent = Math.abs(by) < 0.05 ? "" : by > 0 ? say("B is %(db)s dB louder.", { db: by.toFixed(1) }) : say("A is %(db)s dB louder.", { db: (-by).toFixed(1) });
  }

  function switchTo(side) {
    const next = clip(sides[side]);
    if (player.clip?.id === next.id) {
      if (!player.playing) player.toggle();
      return;
    }
    const among = rows.map(clip);
    const at = among.some((each) => each.id === player.clip?.id) ? player.at : 0;
    player.play(next, { at: Math.min(at, Math.max(0, next.duration - 0.05)), among });
  }

  const clicked = (event) => {
    const { as, side, choose, title } = event.target.closest?.("[data-as], [data-side], [data-choose]")?.dataset ?? {};
    if (as) {
      sides[as] = event.target.closest(".take");
      show();
      switchTo(as);
    } else if (side) switchTo(side);
    else if (choose) {
      section.querySelector("#choose-dialog [name=best]").value = choose;
      section.querySelector("[data-chosen]").textContent = title;
    }
  };
  const pressed = ({ detail }) => sides[detail] && switchTo(detail);
  let before;
  const heard = ({ detail: { clip: now } }) => {
    if (now?.id === before) return;
    before = now?.id;
    show();
  };
  section.addEventListener("click", clicked);
  document.addEventListener("vox:side", pressed);
  document.addEventListener("vox:player", heard);
  show();
  return () => {
    document.removeEventListener("vox:side", pressed);
    document.removeEventListener("vox:player", heard);
  };
});

// What was done is said, and can be taken back where it can

document.addEventListener("vox:done", ({ detail: { message, undo } }) => {
  const action = undo && {
    label: say("Undo"),
    act: () => globalThis.htmx.ajax("POST", undo.path, { target: "#care", swap: "outerHTML", values: undo.values }),
  };
  toast(message, { action: action ?? null });
});

document.addEventListener("click", (event) => {
  const at = event.target.closest?.("main.clip-page [data-at]");
  const button = main();
  if (at && button) hear(button, Number(at.dataset.at));
  const menu = document.querySelector("main.clip-page details.more[open]");
  if (menu && (!menu.contains(event.target) || event.target.closest(".menu-item"))) menu.removeAttribute("open");
});

document.addEventListener("keydown", (event) => {
  if (!page() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target) || document.querySelector("dialog[open]")) return;
  const { key } = event;
  const menu = page().querySelector("details.more[open]");
  if (key === "Escape" && menu) {
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
    return;
  }
  const press = (found) => found && (event.preventDefault(), found.click());
  if (/^[1-5]$/.test(key)) press(page().querySelector(`[data-rate-form] button[value="${key}"]`));
  else if (key === "p") press(page().querySelector("[data-pin-form] button"));
  else if (key === "a" || key === "b") document.dispatchEvent(new CustomEvent("vox:side", { detail: key }));
  else if (key === "+" || key === "=") press(page().querySelector("[data-zoom=in]"));
  else if (key === "-") press(page().querySelector("[data-zoom=out]"));
  else if (key === "0") press(page().querySelector("[data-zoom=all]"));
  else if (key === " " && !event.target.closest?.("button, a, summary, [role=slider], input")) press(main());
});
