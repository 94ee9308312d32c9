// The overview: attempts as they happen.

import { attach } from "./app.js";

const ROWS = 12;

attach("[data-live]", (list) => {
  const light = document.querySelector("[data-live-state]");
  const word = light.querySelector(".unseen");
  const after = list.dataset.after;
  const events = new EventSource(`${list.dataset.live}${after ? `?after=${encodeURIComponent(after)}` : ""}`);
  const state = (now) => {
    light.dataset.liveState = now;
    word.textContent = word.dataset[now];
  };
  events.addEventListener("open", () => state("on"));
  events.addEventListener("error", () => state("off"));
  events.addEventListener("end", () => events.close());
  events.addEventListener("attempts", (event) => {
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
  });
  events.addEventListener("state", (event) => {
    document.getElementById("state").innerHTML = JSON.parse(event.data).html;
  });
  return () => events.close();
});
