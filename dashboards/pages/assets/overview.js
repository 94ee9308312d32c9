// The overview: attempts as they happen.

import { attach } from "./app.js";

const ROWS = 12;

attach("[data-live]", (list) => {
  const light = document.querySelector("[data-live-state]");
  const word = light.querySelector(".unseen");
  let { after } = list.dataset;
  let events = null;
  const state = (now) => {
    light.dataset.liveState = now;
    word.textContent = word.dataset[now];
  };
  const arrived = (event) => {
    const { html } = JSON.parse(event.data);
    const made = document.createElement("template");
    made.innerHTML = html;
    const rows = [...made.content.children];
    for (const row of rows) {
      list.querySelector(`[data-clip="${CSS.escape(row.dataset.clip)}"].${row.classList[1]}`)?.remove();
      row.classList.add("arrived");
    }
    list.prepend(...rows);
    while (list.children.length > ROWS) list.lastElementChild.remove();
    document.querySelector(".live > .none")?.remove();
    list.dispatchEvent(new CustomEvent("vox:added", { bubbles: true }));
    globalThis.htmx?.process(list);
  };
  // While nobody looks, nothing is asked; afterwards it goes on from where it was.
  const follow = () => {
    events?.close();
    events = null;
    if (document.hidden) return;
    const mine = new EventSource(`${list.dataset.live}${after ? `?after=${encodeURIComponent(after)}` : ""}`);
    events = mine;
    mine.addEventListener("open", () => state("on"));
    mine.addEventListener("error", () => state("off"));
    mine.addEventListener("end", () => mine.close());
    mine.addEventListener("attempts", (event) => {
      after = event.lastEventId || after;
      arrived(event);
    });
    mine.addEventListener("state", (event) => {
      after = event.lastEventId || after;
      document.getElementById("state").innerHTML = JSON.parse(event.data).html;
    });
  };
  follow();
  document.addEventListener("visibilitychange", follow);
  return () => {
    document.removeEventListener("visibilitychange", follow);
    events?.close();
  };
});
