// Tokens: made, shown once, revoked. What is secret stands in the page only while its dialog is open.

import { ask, attach, copy, say, toast } from "./app.js";

const SPEAKS = ["creator", "curator", "admin"];

const again = () => {
  if (document.querySelector("main.tokens")) globalThis.htmx.ajax("GET", location.pathname + location.search, { target: "#list", swap: "innerHTML" });
};

attach("#make", (dialog) => {
  const form = dialog.querySelector("[data-make]");
  const made = dialog.querySelector("[data-made]");
  const wrong = dialog.querySelector("[data-wrong]");
  const fields = form.elements;

  const forget = () => {
    for (const each of made.querySelectorAll("[data-secret]")) each.textContent = "";
    made.hidden = true;
    form.hidden = false;
    wrong.hidden = true;
    form.reset();
    suit();
  };
  const suit = () => {
    const role = form.querySelector("[name=role]:checked");
    const own = form.querySelector("[name=scope][value=own]");
    own.disabled = role.value === "admin";
    form.querySelector("[data-day]").hidden = fields.expires.value !== "date";
    fields.day.required = fields.expires.value === "date";
  };
  const show = (issued) => {
    const speaks = SPEAKS.includes(issued.role);
    const origin = location.origin;
    const told = {
      token: issued.token,
      curl: speaks
        ? `curl ${origin}/api/clips \\\n  -H "Authorization: Bearer ${issued.token}" \\\n  -H "Content-Type: application/json" \\\n  -d '{"text": "The tide is turning.", "emotion": {"happy": 0.7}}'`
        : `curl "${origin}/api/clips?limit=5" \\\n  -H "Authorization: Bearer ${issued.token}"`,
      python: `import voxledger\n\nvox = voxledger.connect("${origin}", "${issued.token}")\n${speaks ? 'clip = vox.speak("The tide is turning.", emotion={"happy": 0.7})\nprint(clip.id)' : "for clip in vox.catalog.clips(limit=5):\n    print(clip.id, clip.name)"}`,
    };
    for (const [name, text] of Object.entries(told)) made.querySelector(`[data-secret="${name}"]`).textContent = text;
    form.hidden = true;
    made.hidden = false;
    made.querySelector("[data-copies]").focus();
  };

  form.addEventListener("change", (event) => {
    if (event.target.name === "role") form.querySelector(`[name=scope][value=${event.target.dataset.scope}]`).checked = true;
    suit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const number = (name, times) => (fields[name].value ? Number(fields[name].value) * times : null);
    const body = {
      role: fields.role.value,
      scope: fields.scope.value,
      name: fields.name.value.trim() || null,
      expires: fields.expires.value === "date" ? fields.day.value : fields.expires.value || null,
      limits: { rate: fields.rate.value.trim() || null, requests: number("requests", 1), audio_s: number("audio", 60), bytes: number("bytes", 1e6) },
    };
    if (body.limits.bytes) body.limits.bytes = Math.round(body.limits.bytes);
    const button = event.submitter;
    if (button) button.disabled = true;
    const answer = await fetch("/api/tokens", { method: "POST", cache: "no-store", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).catch(() => null);
    if (button) button.disabled = false;
    const told = answer ? await answer.json().catch(() => ({})) : {};
    if (answer?.ok) {
      wrong.hidden = true;
      show(told);
      again();
      return;
    }
    const [message, remedy] = wrong.querySelectorAll("p");
    message.textContent = told.error?.message ?? say("The node does not answer.");
    remedy.textContent = told.error?.remedy ?? "";
    wrong.hidden = false;
    wrong.scrollIntoView({ block: "nearest" });
  });
  made.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (button) copy(made.querySelector(`[data-secret="${button.dataset.copies}"]`).textContent);
  });
  dialog.addEventListener("close", forget);
  globalThis.addEventListener("pagehide", forget);
  suit();
  return () => {
    globalThis.removeEventListener("pagehide", forget);
    forget();
  };
});

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".tokens [data-revoke]");
  if (!button) return;
  const dialog = document.getElementById("revoke");
  dialog.dataset.id = button.dataset.revoke;
  dialog.querySelector("[data-whose]").textContent = button.dataset.name;
  dialog.querySelector("[data-which]").textContent = button.dataset.revoke;
  dialog.querySelector("[data-own-one]").hidden = !("own" in button.dataset);
  dialog.querySelector("form").reset();
  dialog.showModal();
});

attach("[data-revoking]", (form) => {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const dialog = form.closest("dialog");
    const reason = form.elements.reason.value.trim();
    const done = await ask(`/api/tokens/${dialog.dataset.id}${reason ? `?reason=${encodeURIComponent(reason)}` : ""}`, { method: "DELETE" });
    if (!done) return;
    dialog.close();
    toast(say("The token was revoked."));
    again();
  });
});
