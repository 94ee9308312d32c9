// Usage: what is chosen is shown at once.

import { attach } from "./app.js";

attach("form[data-instant]", (form) => {
  form.addEventListener("change", () => {
    if (form.reportValidity()) form.requestSubmit();
  });
});

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target?.matches?.(".usage-slot")) detail.target.removeAttribute("aria-busy");
});
