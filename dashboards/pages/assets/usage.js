// Usage: what is chosen is shown at once.

import { attach, say } from "./app.js";

attach("form[data-instant]", (form) => {
  form.addEventListener("change", () => {
    if (form.reportValidity()) form.requestSubmit();
  });
});

attach("a[role=switch]", (link) => {
  link.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    link.click();
  });
});

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target?.matches?.(".usage-slot")) detail.target.removeAttribute("aria-busy");
});

// A chart that did not come says so in its place; what went wrong is a toast.
for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, ({ detail }) => {
    const slot = detail.target;
    if (!slot?.matches?.(".usage-slot")) return;
    slot.removeAttribute("aria-busy");
    const again = document.createElement("button");
    again.type = "button";
    again.className = "button small";
    again.textContent = say("Try again");
    again.addEventListener("click", () => globalThis.htmx.trigger(slot, "again"));
    slot.replaceChildren(again);
  });
}
