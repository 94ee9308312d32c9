// Reports: sending one again, to whom somebody has said.

import { ask, attach, say, toast } from "./app.js";

attach("form[data-send]", (form) => {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = [...form.querySelectorAll("[name=channel]:checked")].map((each) => each.value);
    if (!chosen.length) return;
    const button = event.submitter ?? form.querySelector(".primary");
    button.disabled = true;
    const answer = await ask(`${form.dataset.send}?wait=60`, { method: "POST", body: { channels: chosen, everyone: form.elements.everyone.checked } });
    button.disabled = false;
    if (!answer) return;
    form.closest("dialog").close();
    if (answer.state === "running") toast(say("It is being sent; how it goes stands here soon."));
    for (const sent of answer.result?.sent ?? []) {
      if (sent.outcome === "delivered") toast(say("%(channel)s: arrived", { channel: sent.channel }));
      else toast(say("%(channel)s: did not arrive", { channel: sent.channel }), { remedy: sent.said, bad: true });
    }
    if (document.querySelector("main.reports")) globalThis.htmx.ajax("GET", location.pathname + location.search, { target: "#main", select: "#main", swap: "outerHTML" });
  });
});

document.addEventListener("click", (event) => {
  const open = document.querySelector(".reports .more[open]");
  if (open && (!open.contains(event.target) || event.target.closest("a"))) open.removeAttribute("open");
});
