// What stands beside the query: the schema, the saved queries, and what this browser has asked.

import { ask, say, toast } from "./app.js";
import { short } from "./sql-editor.js";
import { element } from "./sql-table.js";

const MOST = 100;
const LONGEST = 20_000;
const TAKES = 300_000;
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;

/** Tabs as WAI-ARIA has them: arrows go from one to the next. `opened(id)` is told which. */
export function tabs(root, opened) {
  const all = [...root.querySelectorAll("[role=tab]")];
  const open = (tab, focus = true) => {
    for (const each of all) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", String(chosen));
      each.tabIndex = chosen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
    opened(tab.id);
  };
  for (const [at, tab] of all.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      open(all.at(to % all.length));
    });
  }
}

/** The relations with their columns; a click writes a name into the query. */
export function browser(list, find, schema, insert) {
  const made = schema.relations.map((relation) => {
    const details = element("details");
    const whole = element("div", "relation");
    const summary = element("summary");
    summary.append(element("code", "", {}, relation.name), element("small", "soft", {}, String(relation.columns.length)));
    const about = element("p", "soft about", {}, relation.description ?? "");
    const columns = element("ul", "columns-of");
    details.append(summary, about, columns);
    const put = () => insert(relation.name);
    const use = element("button", "quiet use", { type: "button", title: say("Write %(name)s into the query", { name: relation.name }) });
    use.append(element("span", "", { "aria-hidden": "true" }, "+"), element("span", "unseen", {}, say("Write %(name)s into the query", { name: relation.name })));
    use.addEventListener("click", put);
    whole.append(details, use);
    const fill = (words = "") => {
      const wanted = relation.columns.filter((column) => !words || matches(column, words) || relation.name.includes(words));
      columns.replaceChildren(...wanted.map((column) => line(column, insert)));
      return wanted.length;
    };
    details.addEventListener("toggle", () => details.open && !columns.children.length && fill());
    return { relation, whole, details, fill };
  });
  const none = element("p", "soft nothing", {}, say("Nothing is called so."));
  none.hidden = true;
  list.replaceChildren(...made.map((each) => each.whole), none);
  find.addEventListener("input", () => {
    const words = find.value.trim().toLowerCase();
    let any = false;
    for (const { relation, whole, details, fill } of made) {
      const named = relation.name.includes(words);
      const found = named || relation.columns.some((column) => matches(column, words));
      whole.hidden = !found;
      any ||= found;
      fill(words);
      details.open = !!words && found && (!named || words.length > 2);
    }
    none.hidden = any;
  });
}

const matches = (column, words) => column.name.includes(words) || (words.length > 3 && (column.description ?? "").toLowerCase().includes(words));

function line(column, insert) {
  const item = element("li");
  const button = element("button", "column", { type: "button", title: `${column.name} ${column.type}` });
  button.append(element("code", "", {}, column.name), element("small", "type", {}, short(column.type)));
  if (column.description) button.append(element("span", "soft", {}, column.description));
  button.addEventListener("click", () => insert(column.name));
  item.append(button);
  return item;
}

/** The saved queries. `open(saved)` puts one into the editor, `renamed(from, to)` and `gone(name)` tell what became of it. */
export function saved(list, { admin, open, renamed, gone }) {
  const dialog = document.getElementById("rename-query");
  const form = dialog.querySelector("form");
  const wrong = dialog.querySelector("[data-rename-error]");
  let renaming = null;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = form.elements.name.value;
    const found = await told(`/api/queries/${encodeURIComponent(renaming.name)}`, "PATCH", { name }, wrong);
    if (!found) return;
    dialog.close();
    renamed(renaming.name, found.name);
    show();
  });

  const rename = (query) => {
    renaming = query;
    form.elements.name.value = query.name;
    wrong.textContent = "";
    dialog.showModal();
    form.elements.name.select();
  };

  const remove = async (query) => {
    const whole = await ask(`/api/queries/${encodeURIComponent(query.name)}`);
    if (!whole || !(await ask(`/api/queries/${encodeURIComponent(query.name)}`, { method: "DELETE" }))) return;
    gone(query.name);
    await show();
    const undo = { label: say("Undo"), act: async () => (await ask(`/api/queries/${encodeURIComponent(query.name)}`, { method: "PUT", body: { query: whole.query } })) && show() };
    toast(say("%(name)s is deleted", { name: query.name }), { action: query.mine ? undo : null });
  };

  const item = (query) => {
    const made = element("li", "kept");
    const link = element("a", "", { href: `/sql?saved=${encodeURIComponent(query.name)}`, "hx-boost": "false" });
    link.append(element("b", "", {}, query.name));
    if (query.description) link.append(element("span", "", {}, query.description));
    const whose = query.mine ? say("yours") : query.by ? say("by %(name)s", { name: query.by }) : say("nobody's");
    link.append(element("small", "soft", {}, [whose, day(query.saved), ...(query.parameters.length ? [query.parameters.map((name) => `$${name}`).join(" ")] : [])].join(" · ")));
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const whole = await ask(`/api/queries/${encodeURIComponent(query.name)}`);
      if (whole) open(whole);
    });
    made.append(link);
    if (query.mine || admin) {
      const tools = element("span", "kept-tools");
      for (const [label, act] of [[say("Rename"), rename], [say("Delete"), remove]]) {
        const button = element("button", "button small", { type: "button", "aria-label": `${label}: ${query.name}` }, label);
        button.addEventListener("click", () => act(query));
        tools.append(button);
      }
      made.append(tools);
    }
    return made;
  };

  async function show() {
    const found = await ask("/api/queries");
    if (!found) return;
    list.replaceChildren(...found.queries.map(item));
    if (!found.queries.length) list.append(element("li", "soft nothing", {}, say("Nothing is saved yet. Save a query, and everybody who may ask SQL finds it here.")));
  }
  return { show };
}

/** Asks the node; what cannot be done is said in `wrong`, and null is given. */
export async function told(address, method, body, wrong) {
  wrong.textContent = "";
  try {
    const answer = await fetch(address, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const found = await answer.json();
    if (answer.ok) return found;
    wrong.textContent = [found.error?.message, found.error?.remedy].filter(Boolean).join(" ");
  } catch {
    wrong.textContent = say("The node does not answer.");
  }
  return null;
}

const day = (text) => new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" }).format(new Date(text));
const when = (text) => new Intl.DateTimeFormat(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(new Date(text));

/** What this browser has asked, newest first: bounded, one a query, and nobody else's. */
export function past(list, { name, open }) {
  const read = () => {
    try {
      const found = JSON.parse(localStorage.getItem(name) ?? "[]");
      return Array.isArray(found) ? found.filter((each) => typeof each?.query === "string") : [];
    } catch {
      return [];
    }
  };
  const write = (entries) => {
    try {
      localStorage.setItem(name, JSON.stringify(entries));
    } catch {
      localStorage.removeItem(name);
    }
  };
  const show = () => {
    const entries = read();
    list.replaceChildren(...entries.map((entry) => {
      const made = element("li", "kept");
      const button = element("button", "", { type: "button" });
      button.append(element("code", "", {}, entry.query.slice(0, 400)));
      const came = entry.failed ? say("failed") : say("%(num)s rows", { num: Number(entry.rows ?? 0).toLocaleString(language) });
      button.append(element("small", entry.failed ? "bad" : "soft", {}, `${when(entry.time)} · ${came}`));
      button.addEventListener("click", () => open(entry));
      made.append(button);
      return made;
    }));
    if (!entries.length) list.append(element("li", "soft nothing", {}, say("What you run here is remembered here.")));
  };
  return {
    show,
    add(entry) {
      if (entry.query.length > LONGEST) return;
      const entries = [entry, ...read().filter((each) => each.query !== entry.query)].slice(0, MOST);
      while (entries.length > 1 && JSON.stringify(entries).length > TAKES) entries.pop();
      write(entries);
      show();
    },
    forget() {
      const before = read();
      localStorage.removeItem(name);
      show();
      if (before.length) {
        toast(say("The history of this browser is cleared"), { action: { label: say("Undo"), act: () => (write(before), show()) } });
      }
    },
  };
}
