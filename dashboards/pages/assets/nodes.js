// Node and health: parts as they change, and what an admin may begin.

import { ask, attach, toast } from "./app.js";

// A part that somebody is in is left alone until they leave it; what they opened stays open.
function put(id, html) {
  const part = document.getElementById(id === "quarantine" ? "quarantine-part" : id);
  if (!part || part.contains(document.activeElement)) return;
  const open = [...part.querySelectorAll("details")].map((each) => each.open);
  part.innerHTML = html;
  part.querySelectorAll("details").forEach((each, at) => {
    each.open = open[at] ?? false;
  });
  globalThis.htmx?.process(part);
}

attach("[data-nodes]", (page) => {
  const light = document.querySelector("[data-live-state]");
  let events = null;
  const follow = () => {
    events?.close();
    events = null;
    if (document.hidden) return;
    events = new EventSource(page.dataset.nodes);
    events.addEventListener("open", () => { light.dataset.liveState = "on"; });
    events.addEventListener("error", () => { light.dataset.liveState = "off"; });
    events.addEventListener("end", () => events.close());
    events.addEventListener("part", (event) => {
      const { id, html } = JSON.parse(event.data);
      put(id, html);
    });
  };
  follow();
  document.addEventListener("visibilitychange", follow);
  return () => {
    document.removeEventListener("visibilitychange", follow);
    events?.close();
  };
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches(".nodes form[data-act]")) return;
  event.preventDefault();
  event.stopPropagation();
  const button = form.querySelector("button");
  button.disabled = true;
  if (await ask(form.getAttribute("action"), { method: "POST", headers: { Accept: "application/json" } })) toast(form.dataset.said);
  button.disabled = false;
}, { capture: true });

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".nodes [data-cancel]");
  if (!button) return;
  button.disabled = true;
  if (await ask(`/api/jobs/${button.dataset.cancel}`, { method: "DELETE" })) toast(button.dataset.said);
  else button.disabled = false;
});
