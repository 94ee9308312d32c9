// The quick chart of an answer: what it shows is guessed by the types of the columns, and can be changed.

import { say } from "./app.js";
import { draw } from "./chart.js";
import { element, kindOf, moment, plain } from "./sql-table.js";

const MOST_ROWS = 5000;
const MOST_BARS = 60;
const GROUPS = 6;
const EMOTIONS = ["happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm", "neutral"];
const NO_FIGURE = /(^|_)(id|position|tail|seed|offset)$/;
const KINDS = () => [["bar", say("Bars")], ["line", say("Line")], ["point", say("Points")], ["heat", say("Heat map")]];

/** Kind and columns that suit an answer; null when there is nothing to draw. */
export function guess(columns, rows) {
  const kinds = columns.map((column) => kindOf(column.type));
  const at = (kind) => kinds.map((each, number) => (each === kind ? number : -1)).filter((number) => number >= 0);
  const numbers = at("number").sort((one, other) => NO_FIGURE.test(columns[one].name) - NO_FIGURE.test(columns[other].name) || one - other);
  const times = at("time");
  const texts = [...at("text"), ...at("bool")].sort((one, other) => one - other);
  const groups = (but) => texts.find((number) => number !== but && distinct(rows, number, 13) <= 12) ?? -1;
  if (!rows.length || !numbers.length) return null;
  if (times.length) return { kind: "line", x: times[0], y: numbers[0], colour: groups(-1) };
  if (texts.length >= 2 && distinct(rows, texts[0], 41) <= 40 && distinct(rows, texts[1], 41) <= 40 && rows.length > Math.max(distinct(rows, texts[0], 99), distinct(rows, texts[1], 99))) {
    return { kind: "heat", x: texts[1], y: texts[0], colour: numbers[0] };
  }
  if (texts.length) return { kind: "bar", x: texts[0], y: numbers[0], colour: -1 };
  if (numbers.length >= 2) return { kind: rows.length <= 60 && distinct(rows, numbers[0], rows.length + 1) === rows.length ? "bar" : "point", x: numbers[0], y: numbers[1], colour: -1 };
  return { kind: "bar", x: -1, y: numbers[0], colour: -1 };
}

function distinct(rows, at, most) {
  const found = new Set();
  for (const row of rows) {
    found.add(row[at]);
    if (found.size >= most) break;
  }
  return found.size;
}

/** The chart with its controls in an element; gives its end. */
export function chart(place, answer, { zone }) {
  const { columns } = answer;
  const chosen = guess(columns, answer.rows);
  let end = () => {};
  if (!chosen) {
    const empty = element("p", "soft nothing", {}, answer.rows.length ? say("A chart takes a column of numbers. Count or sum something.") : say("There are no rows to draw."));
    place.replaceChildren(empty);
    return end;
  }
  const tools = element("div", "chart-tools");
  const keys = element("ul", "chart-keys", { "aria-hidden": "true" });
  const box = element("div", "chart-drawn", { "aria-hidden": "true" });
  const what = element("p", "unseen");
  const note = element("p", "soft chart-note");
  place.replaceChildren(tools, what, keys, box, note);

  function controls() {
    const kinds = element("div", "segments", { role: "group", "aria-label": say("Kind of chart") });
    for (const [kind, label] of KINDS()) {
      const button = element("button", "", { type: "button", "aria-pressed": String(kind === chosen.kind) }, label);
      button.addEventListener("click", () => {
        chosen.kind = kind;
        if (kind === "heat" && kindOf(columns[chosen.colour]?.type ?? "TEXT") !== "number") {
          [chosen.colour, chosen.y] = [chosen.y, columns.findIndex((_, at) => at !== chosen.x && at !== chosen.y)];
          if (chosen.y < 0) chosen.y = chosen.x;
        } else if (kind !== "heat" && kindOf(columns[chosen.y]?.type ?? "TEXT") !== "number" && chosen.colour >= 0) {
          [chosen.colour, chosen.y] = [chosen.y, chosen.colour];
        }
        redraw();
      });
      kinds.append(button);
    }
    const flat = chosen.kind === "point" || chosen.kind === "heat";
    tools.replaceChildren(kinds, select("x", flat ? say("Across") : say("Along"), true), select("y", flat ? say("Up") : say("Value"), false), select("colour", say("Colour"), true));
  }

  function select(which, label, none) {
    const made = element("label", "chart-choice");
    const field = element("select");
    if (none) field.append(element("option", "", { value: "-1" }, which === "x" ? say("row") : say("none")));
    columns.forEach((column, at) => field.append(element("option", "", { value: at }, column.name)));
    field.value = String(chosen[which]);
    field.addEventListener("change", () => {
      chosen[which] = Number(field.value);
      redraw();
    });
    made.append(element("span", "", {}, label), field);
    return made;
  }

  function redraw() {
    controls();
    end();
    const { spec, rows, told, groups, height, said } = drawing(answer, chosen, zone, box.clientWidth || 800);
    what.textContent = say("Chart of %(y)s by %(x)s; the table has the same numbers", { y: columns[chosen.y].name, x: columns[chosen.x]?.name ?? say("row") });
    keys.replaceChildren(...groups.map(([name, colour]) => key(name, colour)));
    note.textContent = said;
    note.hidden = !said;
    end = draw(box, { spec, rows, columns: told, height });
  }

  redraw();
  return () => end();
}

function key(name, colour) {
  const made = element("li");
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [attribute, value] of [["width", 10], ["height", 10], ["viewBox", "0 0 10 10"]]) svg.setAttribute(attribute, value);
  const square = document.createElementNS(space, "rect");
  for (const [attribute, value] of [["width", 10], ["height", 10], ["rx", 2.5], ["fill", `var(${colour})`]]) square.setAttribute(attribute, value);
  svg.append(square);
  made.append(svg, document.createTextNode(name));
  return made;
}

/** Rows and specification for `chart.draw`. */
function drawing(answer, { kind, x, y, colour }, zone, width) {
  const heat = kind === "heat";
  const field = (at) => (at < 0 ? null : { ...answer.columns[at], kind: kindOf(answer.columns[at].type), at });
  const [across, up, by] = [field(x), field(y), field(colour)];
  const scale = (column) => (column === null || column.kind === "number" ? "quantitative" : column.kind === "time" ? "temporal" : "nominal");
  const number = (value) => (value === null ? null : Number(value));
  const of = (column, value) => {
    if (scale(column) === "quantitative") return number(value);
    if (scale(column) === "temporal" && !heat) return value === null ? null : Date.parse(String(value).length === 10 ? `${value}T00:00:00Z` : /Z|[+-]\d\d:\d\d$/.test(value) ? value : `${value}Z`);
    return value === null ? "NULL" : column.kind === "time" ? moment(String(value), zone) : plain(value).slice(0, 80);
  };
  const shown = (column, value) => (column.kind === "time" && value !== null ? moment(String(value), column.type.includes("ZONE") ? zone : "UTC") : value === null ? "NULL" : plain(value));
  let used = answer.rows.slice(0, MOST_ROWS);
  let said = used.length < answer.rows.length ? say("The first %(num)s rows are drawn.", { num: MOST_ROWS.toLocaleString() }) : "";
  const bars = kind === "bar" && scale(across) === "nominal" && across !== null;
  if (bars) {
    const names = new Set();
    for (const row of used) if (names.size < MOST_BARS) names.add(of(across, row[x]));
    const all = new Set(used.map((row) => of(across, row[x]))).size;
    if (all > names.size) said = say("The first %(num)s of %(all)s are drawn.", { num: MOST_BARS, all });
    used = used.filter((row) => names.has(of(across, row[x])));
  }
  // Bars of emotions have their colours, also where nothing was chosen for that.
  const own = bars && !by && across.name === "emotion";
  const groups = by && !heat ? grouped(used, colour, y) : own ? grouped(used, x, y) : new Map();
  const rows = used.map((row, at) => ({
    x: across ? of(across, row[x]) : at + 1, y: heat ? of(up, row[y]) : number(row[y]), ...(by ? { c: heat ? number(row[colour]) : plain(row[colour]) || "NULL" } : {}),
    "x as told": across ? shown(across, row[x]) : String(at + 1), "y as told": shown(up, row[y]), ...(by ? { "c as told": shown(by, row[colour]) } : {}),
  }));
  const told = [
    { name: "x as told", title: across?.name ?? say("row"), kind: "text" }, { name: "y as told", title: up.name, kind: "text" },
    ...(by ? [{ name: "c as told", title: by.name, kind: "text" }] : []),
  ];
  const names = [...groups.keys()];
  const colours = names.length ? { color: { field: own ? "x" : "c", type: "nominal", scale: { domain: names, range: names.map((name) => groups.get(name)) } } } : {};
  const figures = (column) => ({ format: "", formatType: "vox_count", tickCount: 5, ...(column === null || used.every((row) => Number.isInteger(row[column.at])) ? { tickMinStep: 1 } : {}) });
  const axis = (column, more = {}) => ({ title: column?.name ?? null, ...(scale(column) === "quantitative" ? figures(column) : {}), labelLimit: 220, ...more });
  let spec;
  let height = 320;
  if (heat) {
    height = Math.min(1200, new Set(rows.map((row) => row.y)).size * 30 + 96);
    spec = {
      mark: { type: "rect", tooltip: false, cornerRadius: 2 },
      encoding: {
        x: { field: "x", type: "ordinal", sort: null, axis: axis(across, { labelAngle: wordy(rows, "x", width) ? -40 : 0, format: undefined, formatType: undefined, tickMinStep: undefined, tickCount: undefined }) },
        y: { field: "y", type: "ordinal", sort: null, axis: axis(up, { title: null, labelOverlap: false, format: undefined, formatType: undefined, tickMinStep: undefined, tickCount: undefined }) },
        color: { field: "c", type: "quantitative", scale: { range: ["--wash", "--accent"], interpolate: "lab" } },
      },
      config: { scale: { bandPaddingInner: 0.06, bandPaddingOuter: 0 } },
    };
  } else if (bars) {
    height = Math.min(1500, Math.max(120, new Set(rows.map((row) => row.x)).size * 26 + 40));
    spec = {
      mark: { type: "bar", tooltip: false },
      encoding: { y: { field: "x", type: "nominal", sort: null, axis: axis(across, { title: null }) }, x: { field: "y", type: "quantitative", axis: axis(up, { grid: true }) }, ...colours },
    };
  } else {
    const type = scale(across) === "nominal" ? "nominal" : scale(across);
    const zero = kind === "bar" || type !== "quantitative";
    spec = {
      mark: { bar: { type: "bar", tooltip: false, ...(type === "nominal" ? {} : { width: { band: 0.75 } }) }, line: { type: "line", tooltip: false, point: { size: rows.length > 120 ? 12 : 30, filled: true } }, point: { type: "point", tooltip: false, opacity: 0.75 } }[kind],
      encoding: {
        x: { field: "x", type: kind === "bar" && type !== "nominal" ? (rows.length > 400 ? type : "ordinal") : type, sort: null, ...(type === "temporal" ? { scale: { type: "utc" } } : type === "quantitative" && kind === "point" ? { scale: { zero: false } } : {}), axis: axis(across, kind === "bar" && type === "temporal" ? dated(rows) : { labelAngle: 0 }) },
        y: { field: "y", type: "quantitative", scale: { zero: zero && kind !== "point" }, axis: axis(up) },
        ...colours,
      },
    };
    if (kind === "bar") delete spec.mark.width;
    if (kind === "bar" && type === "temporal" && rows.length > 400) spec.encoding.x.axis = axis(across);
  }
  return { spec: { padding: 5, ...spec }, rows, told, height, said, groups: names.length > 1 && !own ? legend(groups) : [] };
}

const dated = (rows) => ({ format: rows.every((row) => row.x === null || row.x % 86_400_000 === 0) ? "%-d %b" : "%-d %b %H:%M", formatType: "utc", labelAngle: 0 });
const wordy = (rows, name, width) => {
  const names = [...new Set(rows.map((row) => String(row[name])))];
  return names.length * (Math.max(...names.map((each) => each.length), 1) * 7.5 + 6) > width - 120;
};

/** The colour of each group: emotions have their own, the six largest others one each, and the rest the same. */
function grouped(rows, at, y) {
  const sums = new Map();
  for (const row of rows) sums.set(plain(row[at]) || "NULL", (sums.get(plain(row[at]) || "NULL") ?? 0) + Math.abs(Number(row[y]) || 0));
  const names = [...sums.keys()];
  if (names.every((name) => EMOTIONS.includes(name) || name === "NULL")) return new Map(names.sort((one, other) => EMOTIONS.indexOf(one) - EMOTIONS.indexOf(other)).map((name) => [name, name === "NULL" ? "--series-rest" : `--${name}`]));
  const ranked = names.sort((one, other) => sums.get(other) - sums.get(one));
  return new Map(ranked.map((name, rank) => [name, rank < GROUPS ? `--series-${rank + 1}` : "--series-rest"]));
}

function legend(groups) {
  const own = [...groups].filter(([, colour]) => colour !== "--series-rest" || groups.size <= GROUPS);
  return own.length < groups.size ? [...own, [say("%(num)s others", { num: groups.size - own.length }), "--series-rest"]] : own;
}
