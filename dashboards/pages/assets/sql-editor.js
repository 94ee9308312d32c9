// The editor of the SQL console: CodeMirror with DuckDB's words, and with what the catalog says about itself.

import { say } from "./app.js";
import {
  Compartment, Decoration, EditorState, EditorView, HighlightStyle, Prec, SQLDialect, StateEffect, StateField, acceptCompletion, autocompletion,
  bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap, defaultKeymap, drawSelection, highlightActiveLine,
  highlightSelectionMatches, history, historyKeymap, indentOnInput, indentWithTab, keymap, lineNumbers, placeholder, search, searchKeymap, sql,
  syntaxHighlighting, tags,
} from "./vendor/codemirror.min.js";

const KEYWORDS =
  "all and any anti array as asc asof between by case cast columns cross cube current desc distinct else end except exclude exists extract " +
  "fetch filter following from full group grouping having ilike in inner intersect interval into is join lambda lateral left like " +
  "limit materialized natural not nulls offset on or order outer over partition percent pivot positional preceding qualify recursive " +
  "replace respect right rollup rows sample select semi sets similar some summarize table tablesample then ties to try_cast unbounded union " +
  "unique unnest unpivot using values when where window with within without";
const TYPES =
  "bigint blob boolean decimal double float hugeint integer json real smallint struct timestamptz tinyint ubigint uhugeint uinteger usmallint " +
  "utinyint uuid varchar"; // names of types that no column has
const OFFERED = (
  "SELECT|FROM|WHERE|GROUP BY ALL|GROUP BY|ORDER BY|HAVING|QUALIFY|LIMIT|OFFSET|JOIN|LEFT JOIN|ASOF JOIN|ON|USING|AS|WITH|UNION ALL|UNION|EXCEPT|" +
  "INTERSECT|DISTINCT|CASE|WHEN|THEN|ELSE|END|AND|OR|NOT|IN|BETWEEN|LIKE|ILIKE|IS NULL|IS NOT NULL|NULLS LAST|DESC|ASC|OVER|PARTITION BY|FILTER|" +
  "EXISTS|CAST|TRY_CAST|INTERVAL|EXCLUDE|REPLACE|COLUMNS|UNNEST|PIVOT|UNPIVOT|SUMMARIZE|VALUES|TRUE|FALSE|NULL|DATE|TIMESTAMP|VARCHAR|BIGINT|DOUBLE"
).split("|");
const AFTER = /\b(from|join|into|describe|summarize)\s+(?:[\w".]+\s*,\s*)*"?\w*$/i;
const NAMED = /\b(?:from|join)\s+"?(\w+)"?(?:\s+(?:as\s+)?(?!(?:on|using|where|group|order|join|left|right|inner|full|cross|limit|having|qualify|union|asof|positional|semi|anti|natural|window|sample|tablesample)\b)"?(\w+)"?)?/gi;
const LISTED = /,\s*"?(\w+)"?(?:\s+(?:as\s+)?"?(\w+)"?)?(?=\s*(?:,|where|group|order|limit|join|$))/gi;

const DIALECT = SQLDialect.define({
  keywords: KEYWORDS, types: TYPES, builtin: "true false null", doubleQuotedStrings: false, hashComments: false, doubleDollarQuotedStrings: false,
  operatorChars: "*+-%<>!=&|~^/@", specialVar: "$", identifierQuotes: '"', charSetCasts: false, unquotedBitLiterals: false,
});

const wrong = StateEffect.define();
const mark = Decoration.mark({ class: "cm-wrong" });
const marked = StateField.define({
  create: () => Decoration.none,
  update(found, change) {
    let next = change.docChanged ? Decoration.none : found;
    for (const effect of change.effects) {
      if (effect.is(wrong)) next = effect.value ? Decoration.set([mark.range(effect.value.from, effect.value.to)]) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const THEME = EditorView.theme({
  "&": { height: "100%", backgroundColor: "transparent", color: "var(--ink)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { padding: "10px 0", caretColor: "var(--ink)" },
  ".cm-line": { padding: "0 14px 0 6px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--muted)", border: "0", paddingLeft: "6px" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "26px", padding: "0 8px 0 4px" },
  ".cm-activeLine": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine": { backgroundColor: "var(--hover)" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "1.5px" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 22%, transparent)",
  },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--pressed)", outline: "1px solid var(--edge)" },
  ".cm-nonmatchingBracket": { color: "var(--bad)", backgroundColor: "transparent" },
  ".cm-selectionMatch": { backgroundColor: "var(--accent-wash)" },
  ".cm-searchMatch": { backgroundColor: "var(--warn-wash)", outline: "1px solid var(--warn)" },
  ".cm-searchMatch-selected": { backgroundColor: "color-mix(in srgb, var(--warn) 34%, transparent)" },
  ".cm-wrong": { textDecoration: "underline wavy var(--bad) 1.25px", textUnderlineOffset: "4px", backgroundColor: "var(--bad-wash)" },
  ".cm-tooltip": { border: "1px solid var(--line)", borderRadius: "8px", backgroundColor: "var(--surface)", color: "var(--ink)", boxShadow: "var(--shadow)", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12.5px", maxHeight: "264px", padding: "4px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { display: "flex", alignItems: "baseline", gap: "8px", padding: "3px 8px", borderRadius: "5px", lineHeight: "1.5" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { marginLeft: "auto", paddingLeft: "16px", color: "var(--muted)", fontStyle: "normal", fontSize: "11.5px" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit", opacity: "0.85" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionIcon": { width: "14px", padding: "0", opacity: "1", color: "var(--muted)", fontSize: "11px" },
  "li[aria-selected] .cm-completionIcon": { color: "inherit" },
  ".cm-completionIcon-relation::after": { content: "'▦'" },
  ".cm-completionIcon-column::after": { content: "'≡'" },
  ".cm-completionIcon-function::after": { content: "'ƒ'" },
  ".cm-completionIcon-keyword::after": { content: "'·'" },
  ".cm-tooltip.cm-completionInfo": { maxWidth: "300px", padding: "8px 11px", fontFamily: "var(--sans)", fontSize: "12.5px", lineHeight: "1.45", whiteSpace: "normal" },
  ".cm-panels": { backgroundColor: "var(--ground)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panel.cm-search": { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "4px 6px", padding: "8px 34px 8px 10px", fontFamily: "var(--sans)", fontSize: "var(--small)" },
  ".cm-panel.cm-search br": { display: "none" },
  ".cm-panel.cm-search input.cm-textfield": { width: "160px", minHeight: "28px", margin: "0", fontSize: "var(--small)", border: "1px solid var(--edge)", borderRadius: "var(--round)", backgroundColor: "var(--surface)" },
  ".cm-panel.cm-search label": { display: "inline-flex", alignItems: "center", gap: "4px", fontSize: "var(--small)" },
  ".cm-button": { minHeight: "28px", margin: "0", padding: "0 9px", border: "1px solid var(--line)", borderRadius: "var(--round)", backgroundColor: "var(--surface)", backgroundImage: "none", color: "var(--ink)", fontSize: "var(--small)" },
  ".cm-panel.cm-search [name=close]": { top: "6px", right: "6px", width: "28px", height: "28px", color: "var(--muted)", fontSize: "18px" },
});

const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--sql-word)", fontWeight: "600" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--sql-type)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--sql-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--sql-number)" },
  { tag: [tags.lineComment, tags.blockComment], color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.special(tags.name), color: "var(--sql-given)", fontWeight: "600" },
  { tag: [tags.operator, tags.punctuation, tags.paren, tags.separator], color: "var(--muted)" },
]);

/** What a text names after FROM and JOIN: relations by the names that they have in it. */
function named(text, relations) {
  const found = new Map();
  const add = (name, alias) => {
    const relation = relations.get(name.toLowerCase());
    if (!relation) return;
    found.set(name.toLowerCase(), relation);
    if (alias) found.set(alias.toLowerCase(), relation);
  };
  const bare = text.replace(/'(?:[^']|'')*'|--[^\n]*/g, " ");
  for (const [, name, alias] of bare.matchAll(NAMED)) add(name, alias);
  for (const [, name, alias] of bare.matchAll(LISTED)) add(name, alias);
  return found;
}

/** Completes relations, columns, functions and keywords. `schema` is the answer of /api/sql/schema. */
function completing(schema) {
  const relations = new Map(schema.relations.map((relation) => [relation.name, relation]));
  const ofRelation = (relation, boost) => ({ label: relation.name, type: "relation", detail: say("relation"), info: relation.description ?? undefined, boost });
  const ofColumn = (column, boost) => ({ label: column.name, type: "column", detail: short(column.type), info: column.description ?? undefined, boost });
  const functions = schema.functions.map((each) => ({
    label: each.name, type: "function", detail: `(${each.parameters.join(", ")})`, info: each.description ?? undefined, boost: each.description ? -1 : -3,
    apply: (view, _, from, to) => view.dispatch({
      changes: { from, to, insert: view.state.sliceDoc(to, to + 1) === "(" ? each.name : `${each.name}()` },
      selection: { anchor: from + each.name.length + 1 }, userEvent: "input.complete",
    }),
  }));
  const tables = functions.filter((each) => schema.functions.some((one) => one.name === each.label && one.kind === "table"));
  const others = functions.filter((each) => !tables.includes(each));
  const keywords = OFFERED.map((label) => ({ label, type: "keyword", boost: -2 }));

  return (context) => {
    const before = context.matchBefore(/"?[\w$]+"?\.\w*|\w+|\$\w*/);
    const all = context.state.doc.toString();
    if (before?.text.startsWith("$")) return null;
    const dot = before?.text.lastIndexOf(".") ?? -1;
    const known = named(all, relations);
    if (dot >= 0) {
      const name = before.text.slice(0, dot).replaceAll('"', "").toLowerCase();
      const relation = known.get(name) ?? relations.get(name);
      return relation ? { from: before.from + dot + 1, options: relation.columns.map((column) => ofColumn(column, 0)), validFor: /^\w*$/ } : null;
    }
    if (!before && !context.explicit) {
      if (!/\b(from|join)\s$/i.test(context.state.sliceDoc(Math.max(0, context.pos - 12), context.pos))) return null;
    }
    if (/^\d/.test(before?.text ?? "")) return null;
    const from = before?.from ?? context.pos;
    const line = context.state.sliceDoc(Math.max(0, from - 200), context.pos);
    if (inText(all.slice(0, from))) return null;
    if (AFTER.test(line)) return { from, options: [...schema.relations.map((relation) => ofRelation(relation, 2)), ...tables], validFor: /^\w*$/ };
    const columns = new Map();
    for (const relation of new Set(known.values())) for (const column of relation.columns) if (!columns.has(column.name)) columns.set(column.name, ofColumn(column, 2));
    return { from, options: [...columns.values(), ...schema.relations.map((relation) => ofRelation(relation, columns.size ? -1 : 1)), ...others, ...keywords], validFor: /^\w*$/ };
  };
}

/** Whether a text ends within a string or a comment. */
function inText(text) {
  const rest = text.replace(/'(?:[^']|'')*'|--[^\n]*\n|\/\*[\s\S]*?\*\//g, "");
  return rest.includes("'") || /--[^\n]*$/.test(rest) || rest.includes("/*");
}

/** A type as it is told beside a name. */
export const short = (type) => type.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ").toLowerCase();

const PHRASES = () => ({
  Find: say("Find"), Replace: say("Replace"), next: say("next"), previous: say("previous"), all: say("all"), "match case": say("match case"),
  "by word": say("by word"), regexp: say("regexp"), replace: say("replace"), "replace all": say("replace all"), close: say("close"),
});

/** An editor in the place of a text area. Gives what the console does with it. */
export function editor(place, { text, run, changed }) {
  const words = new Compartment();
  const running = () => {
    run();
    return true;
  };
  const view = new EditorView({
    parent: place,
    state: EditorState.create({
      doc: text,
      extensions: [
        Prec.highest(keymap.of([{ key: "Mod-Enter", run: running, preventDefault: true }, { key: "Tab", run: acceptCompletion }])),
        lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightActiveLine(),
        highlightSelectionMatches({ minSelectionLength: 2 }), search({ top: true }), words.of(autocompletion({ override: [] })),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, indentWithTab]),
        sql({ dialect: DIALECT }), syntaxHighlighting(COLOURS), THEME, marked, EditorView.lineWrapping,
        placeholder("SELECT emotion, count(*) FROM clips GROUP BY ALL"), EditorState.phrases.of(PHRASES()),
        EditorView.contentAttributes.of({ "aria-label": say("SQL query"), spellcheck: "false", autocapitalize: "off", autocorrect: "off" }),
        EditorView.updateListener.of((update) => update.docChanged && changed(view.state.doc.toString())),
      ],
    }),
  });
  return {
    /** What is to be asked: the selection if there is one, and where that begins. */
    asked() {
      const { main } = view.state.selection;
      const chosen = !main.empty && view.state.sliceDoc(main.from, main.to).trim();
      return chosen ? { query: view.state.sliceDoc(main.from, main.to), from: main.from } : { query: view.state.doc.toString(), from: 0 };
    },
    text: () => view.state.doc.toString(),
    set(next) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next }, selection: { anchor: next.length }, scrollIntoView: true });
    },
    insert(name) {
      const { from, to } = view.state.selection.main;
      const before = view.state.sliceDoc(Math.max(0, from - 1), from);
      const insert = `${/[\w)"]/.test(before) ? " " : ""}${name}`;
      view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length }, userEvent: "input.complete", scrollIntoView: true });
      view.focus();
    },
    completes(schema) {
      view.dispatch({ effects: words.reconfigure(autocompletion({ override: [completing(schema)], icons: true, maxRenderedOptions: 80 })) });
    },
    /** Marks a part of the text as wrong, null for none; gives its line and column, from 1. */
    mark(part) {
      const size = view.state.doc.length;
      const from = part && Math.min(part.from, size);
      const to = part && Math.min(Math.max(part.to, from + 1), size);
      view.dispatch({ effects: wrong.of(part && from < to ? { from, to } : null) });
      if (!part) return null;
      const line = view.state.doc.lineAt(from);
      return { line: line.number, column: from - line.from + 1 };
    },
    reveal(at) {
      view.dispatch({ selection: { anchor: Math.min(at, view.state.doc.length) }, scrollIntoView: true });
      view.focus();
    },
    focus: () => view.focus(),
    end: () => view.destroy(),
  };
}
