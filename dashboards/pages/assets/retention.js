// Retention: forms in dialogs that say in place what is wrong with them, what is chosen, and the editor in which a policy is tried.

import { attach, say, toast } from "./app.js";

// A form in a dialog ends it when it is done; what is wrong is told in it, because a toast would lie behind it.
attach("dialog form[hx-post]", (form) => {
  const done = (event) => {
    if (event.detail.elt !== form || !event.detail.successful) return;
    form.closest("dialog").close();
    form.querySelector(".fault")?.remove();
    if (!form.matches("[data-applies]")) form.reset();
  };
  const wrong = (event) => {
    if (event.detail.elt !== form) return;
    event.stopPropagation();
    let told = {};
    try {
      told = JSON.parse(event.detail.xhr.responseText).error ?? {};
    } catch {
      // no JSON: the answer of something in between
    }
    fault(form, told.message ?? say("That did not work."), told.remedy ?? "");
  };
  form.addEventListener("htmx:afterRequest", done);
  form.addEventListener("htmx:responseError", wrong);
});

function fault(form, message, remedy) {
  form.querySelector(".fault")?.remove();
  const box = document.createElement("div");
  box.className = "fault";
  box.setAttribute("role", "alert");
  const told = document.createElement("div");
  for (const text of [message, remedy]) {
    if (!text) continue;
    const line = document.createElement("p");
    if (told.children.length) line.className = "soft";
    line.textContent = text;
    told.append(line);
  }
  box.append(told);
  form.querySelector("footer").before(box);
}

// What a button says of a hold is put into the dialog that it opens.
attach("button[data-hold]", (button) => {
  button.addEventListener("click", () => {
    const dialog = document.getElementById(button.dataset.dialog);
    dialog.querySelector("input[name=hold]").value = button.dataset.hold;
    dialog.querySelector(".fault")?.remove();
    for (const place of dialog.querySelectorAll("[data-told]")) place.textContent = button.dataset[place.dataset.told] ?? "";
    kind(dialog, button.dataset.kind === "legal");
  });
});
attach("input[data-legal]", (box) => box.addEventListener("change", () => kind(box.closest("dialog"), box.checked)));

function kind(dialog, legal) {
  for (const part of dialog.querySelectorAll(".for-legal")) part.hidden = !legal;
  for (const part of dialog.querySelectorAll(".for-ordinary")) part.hidden = legal;
}

attach("[data-at-once]", (button) => {
  button.removeAttribute("data-at-once");
  document.getElementById(button.dataset.dialog)?.showModal();
});

// How many are chosen of a list.
attach("form:has(> [data-selected])", (form) => {
  const bar = form.querySelector("[data-selected]");
  const count = () => {
    const number = form.querySelectorAll(".pick input:checked").length;
    bar.hidden = !number;
    bar.querySelector("[data-selected-count]").textContent = say("%(num)s chosen", { num: number });
  };
  form.addEventListener("change", count);
  count();
});

// An operation that ended while one looked at something else.
const begun = () => document.getElementById("operations")?.scrollIntoView({ block: "nearest" });
attach("#operations", () => {
  document.addEventListener("retention:begun", begun);
  return () => document.removeEventListener("retention:begun", begun);
});

// The editor: numbers of lines, and marks at those with something wrong.
attach("textarea[data-editor]", (area) => {
  const form = area.closest("form");
  const gutter = form.querySelector(".gutter");
  const reset = form.querySelector("[data-reset]");
  const present = area.value;
  const marks = new Map();

  const number = () => {
    const lines = area.value.split("\n").length;
    gutter.replaceChildren(...Array.from({ length: lines }, (_, at) => {
      const line = document.createElement("span");
      line.textContent = `${at + 1}\n`;
      if (marks.has(at + 1)) line.className = marks.get(at + 1);
      return line;
    }));
    gutter.scrollTop = area.scrollTop;
    reset.disabled = area.value === present;
  };
  const marked = (root) => {
    marks.clear();
    for (const place of root?.querySelectorAll(".place") ?? []) {
      const level = place.closest("li").classList.contains("error") ? "error" : "warning";
      if (marks.get(Number(place.dataset.line)) !== "error") marks.set(Number(place.dataset.line), level);
    }
    number();
  };
  const shown = () => document.querySelector("#tried .trial") ?? (area.value === present ? document.getElementById("checked") : null);
  const settled = () => marked(shown());
  const go = (event) => {
    const place = event.target.closest?.(".place");
    const clear = event.target.closest?.("[data-clear]");
    if (clear) {
      document.getElementById("tried").replaceChildren();
      settled();
    }
    if (!place) return;
    const lines = area.value.split("\n");
    const line = Math.min(Number(place.dataset.line), lines.length);
    const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    const from = Math.min(start + Number(place.dataset.column) - 1, start + lines[line - 1].length);
    area.focus();
    area.setSelectionRange(from, start + lines[line - 1].length);
    area.scrollTop = Math.max(0, (line - 4) * (area.scrollHeight / lines.length));
  };
  const typed = () => {
    marks.clear();
    number();
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  };
  area.addEventListener("input", typed);
  area.addEventListener("scroll", () => (gutter.scrollTop = area.scrollTop));
  area.addEventListener("keydown", keys);
  reset.addEventListener("click", () => {
    area.value = present;
    document.getElementById("tried").replaceChildren();
    settled();
    toast(say("The present policy is shown again."));
  });
  document.addEventListener("click", go);
  document.addEventListener("htmx:afterSwap", settled);
  settled();
  return () => {
    document.removeEventListener("click", go);
    document.removeEventListener("htmx:afterSwap", settled);
  };
});
