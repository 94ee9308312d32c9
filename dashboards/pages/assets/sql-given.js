// The parameters of a query: a field for each `$name` that it leaves open.

import { say } from "./app.js";
import { element } from "./sql-table.js";

const OPEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)/g;

/** The names that a query leaves open, in their order. */
export const opens = (query) => [...new Set([...query.matchAll(OPEN)].map(([, name]) => name).filter(Boolean))];

/** A value as people write it: what reads as a number, true, false or null is one; quotes keep it text. */
export function valued(text) {
  try {
    const found = JSON.parse(text);
    if (found === null || ["number", "boolean", "string"].includes(typeof found)) return found;
  } catch {
    // a text
  }
  return text;
}

/** Fields in `room` for what a query leaves open. `wanted` are `name=value` of the address. */
export function given(room, { run, wanted }) {
  const texts = new Map(wanted.map((pair) => [pair.slice(0, pair.indexOf("=")).replace(/^\$/, ""), pair.slice(pair.indexOf("=") + 1)]).filter(([name]) => name));
  let names = [];

  function show(query) {
    const next = opens(query);
    if (next.join() === names.join()) return;
    names = next;
    room.hidden = !names.length;
    room.replaceChildren(...names.map(field));
    if (names.length) room.append(element("p", "hint", {}, say("Numbers, true, false and null are read as such; in quotes they are text.")));
  }

  function field(name) {
    const label = element("label", "given-one");
    const input = element("input", "", { name, autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    input.value = texts.get(name) ?? "";
    input.addEventListener("input", () => {
      texts.set(name, input.value);
      input.removeAttribute("aria-invalid");
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      run();
    });
    label.append(element("code", "", {}, `$${name}`), input);
    return label;
  }

  return {
    show,
    texts: () => Object.fromEntries(names.map((name) => [name, texts.get(name) ?? ""])),
    restore(given) {
      for (const [name, text] of Object.entries(given)) texts.set(name, String(text));
      names = [];
    },
    /** The values for a query; null when one is lacking, whose field is shown then. */
    values(query) {
      const found = {};
      for (const name of opens(query)) {
        const text = texts.get(name) ?? "";
        if (text === "") {
          const input = [...room.querySelectorAll("input")].find((each) => each.name === name);
          input?.setAttribute("aria-invalid", "true");
          input?.focus();
          return null;
        }
        found[name] = valued(text);
      }
      return found;
    },
  };
}
