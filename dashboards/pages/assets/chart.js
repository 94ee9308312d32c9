// Charts: Vega-Lite in the house style, drawn under the strict policy (no eval: vega-interpreter), in the colours of the theme.

import { attach, colour, say } from "./app.js";

const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang; // days before months, as on the pages
let loading;

/** Vega, fetched when the first chart is drawn. */
export function vega() {
  loading ??= (async () => {
    await import("./vendor/vega.min.js");
    await import("./vendor/vega-lite.min.js");
    await import("./vendor/vega-interpreter.min.js");
    for (const kind of Object.keys(KINDS)) {
      globalThis.vega.expressionFunction(`vox_${kind}`, (value) => short(value, kind));
      globalThis.vega.expressionFunction(`vox_whole_${kind}`, (value) => long(value, kind));
    }
    return globalThis.vega;
  })();
  return loading;
}

const number = (options) => new Intl.NumberFormat(language, options);
const dated = (options) => new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options });
const whole = number({ maximumFractionDigits: 0 });
const compact = number({ notation: "compact", maximumSignificantDigits: 3 });
const figures = number({ maximumSignificantDigits: 3 });
const cents = number({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = number({ style: "percent", maximumFractionDigits: 1 });
const roundPercent = number({ style: "percent", maximumFractionDigits: 0 });
const DAY = dated({ day: "numeric", month: "short" });
const LONG = dated({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const MONTH = dated({ month: "short", year: "numeric" });

const span = (us) => {
  const steps = [[3.6e9, say("h")], [6e7, say("min")], [1e6, say("s")], [1e3, say("ms")]];
  const [size, unit] = steps.find(([least]) => Math.abs(us) >= least) ?? [1e3, say("ms")];
  return us ? `${figures.format(us / size)} ${unit}` : "0";
};
const bytes = (value) => {
  const steps = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
  const [size, unit] = steps.find(([least]) => Math.abs(value) >= least) ?? [1, "B"];
  return `${figures.format(value / size)} ${unit}`;
};

const money = (value) => (Math.abs(value) >= 1e4 || !value ? cents : figures).format(value / 1e6);

// How a number is written in a tooltip, and on an axis, where it has to be short.
const KINDS = {
  text: [String, String],
  emotion: [(name) => emotion(name), (name) => emotion(name)],
  count: [(value) => whole.format(value), (value) => compact.format(value)],
  us: [span, span],
  bytes: [bytes, bytes],
  share: [(value) => percent.format(value), (value) => roundPercent.format(value)],
  ratio: [(value) => figures.format(value), (value) => figures.format(value)],
  micro: [money, money],
  day: [(value) => LONG.format(value), (value) => DAY.format(value)],
  week: [(value) => say("Week of %(day)s", { day: DAY.format(value) }), (value) => DAY.format(value)],
  month: [(value) => MONTH.format(value), (value) => MONTH.format(value)],
};
const DATES = new Set(["day", "week", "month"]);

function emotion(name) {
  const known = { happy: say("happy"), angry: say("angry"), sad: say("sad"), afraid: say("afraid"), disgusted: say("disgusted"),
    melancholic: say("melancholic"), surprised: say("surprised"), calm: say("calm"), neutral: say("neutral") };
  return known[name] ?? name;
}

const short = (value, kind) => (value === null || value === undefined ? "–" : KINDS[kind][1](value));
const long = (value, kind) => (value === null || value === undefined ? "–" : (KINDS[kind] ?? KINDS.text)[0](value));

/** The house style, in the colours that the page has now. */
function house(width) {
  const narrow = width < 520;
  const [ink, muted, line, accent] = ["--ink", "--muted", "--line", "--accent"].map((name) => colour(name));
  const font = getComputedStyle(document.body).fontFamily;
  return {
    font,
    background: null,
    customFormatTypes: true,
    aria: false,
    padding: { left: 0, right: 2, top: 6, bottom: 4 },
    view: { stroke: null },
    axis: {
      labelColor: muted, titleColor: muted, gridColor: line, domain: false, ticks: false, labelFontSize: 12, titleFontSize: 12,
      titleFontWeight: "normal", labelPadding: 6, labelLimit: narrow ? 110 : 160, labelOverlap: true, labelSeparation: 8, title: null,
    },
    axisX: { grid: false },
    axisY: { tickCount: 4 },
    axisTop: { labelOverlap: false, labelAngle: width < 640 ? -35 : 0 },
    legend: { disable: true },
    text: { color: ink, fontSize: 12 },
    bar: { color: accent, cornerRadiusEnd: 2 },
    line: { color: accent, strokeWidth: 2, strokeCap: "round", strokeJoin: "round" },
    area: { color: accent },
    point: { color: accent, filled: true, size: 40 },
    rule: { color: muted },
    rect: { color: accent },
    scale: { bandPaddingInner: 0.25, bandPaddingOuter: 0.1 },
  };
}

// "--happy" anywhere in a specification is the colour of that custom property.
function coloured(value) {
  if (typeof value === "string") return /^--[\w-]+$/.test(value) ? colour(value) : value;
  if (Array.isArray(value)) return value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each)]));
  return value;
}

function prepared(rows, columns) {
  const dates = columns.filter((column) => DATES.has(column.kind)).map((column) => column.name);
  if (!dates.length) return rows;
  return rows.map((row) => ({ ...row, ...Object.fromEntries(dates.map((name) => [name, row[name] === null ? null : Date.parse(row[name])])) }));
}

/**
 * Draws `{spec, rows, columns, height, currency}` into an element, as wide as that is; gives a function that ends it. `columns` are
 * `{name, title, kind}`. A row that has an `href` leads there. The kinds are those of `chart.py`; a specification formats its axes with
 * `{format: "", formatType: "vox_count"}`, and with `vox_whole_count` what is not to be rounded.
 */
export function draw(box, { spec, rows, columns, height = 240, currency = "" }) {
  const data = prepared(rows, columns);
  const tip = made("div", "chart-tip");
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  let view = null;
  let width = 0;
  let ended = false;
  let turn = 0;

  const paint = async () => {
    const mine = ++turn;
    const { View, parse, expressionInterpreter } = await vega();
    if (ended || mine !== turn) return;
    width = Math.floor(box.clientWidth);
    if (!width) return;
    const full = coloured({ width, height, autosize: { type: "fit", contains: "padding" }, ...spec, data: { values: data } });
    const { spec: low } = globalThis.vegaLite.compile(full, { config: house(width) });
    view?.finalize();
    const canvas = made("div", "chart-canvas");
    view = new View(parse(low, null, { ast: true }), { expr: expressionInterpreter, renderer: "svg", hover: false, logLevel: 1 });
    view.tooltip(() => {});
    view.initialize(canvas);
    view.addEventListener("pointermove", (event, item) => show(event, item));
    view.addEventListener("pointerout", () => hide());
    view.addEventListener("click", (event, item) => follow(event, item));
    await view.runAsync();
    if (ended || mine !== turn) return;
    box.replaceChildren(canvas, tip);
    box.dataset.drawn = "";
  };

  // What a mark stands for. An area or a line is one mark for many rows: the row is then the one nearest to the pointer.
  const rowOf = (event, item) => {
    const datum = item?.datum;
    if (!datum || !item.mark || item.mark.marktype === "group") return null;
    if (!["area", "line"].includes(item.mark.marktype)) return datum;
    const at = columns.find((column) => DATES.has(column.kind))?.name;
    const scale = at && view.scale("x");
    if (!scale?.invert) return datum;
    const place = box.getBoundingClientRect();
    const wanted = +scale.invert(event.clientX - place.left - view.origin()[0]);
    const group = Object.keys(datum).find((name) => columns.some((column) => column.name === name && ["text", "emotion"].includes(column.kind)));
    const among = group ? data.filter((row) => row[group] === datum[group]) : data;
    return among.reduce((best, row) => (!best || Math.abs(row[at] - wanted) < Math.abs(best[at] - wanted) ? row : best), null);
  };

  const show = (event, item) => {
    const row = rowOf(event, item);
    if (!row) return hide();
    const told = columns.filter((column) => column.name in row);
    if (!told.length) return hide();
    const [first, ...rest] = told;
    tip.replaceChildren(line("chart-tip-title", long(row[first.name], first.kind)), ...rest.map((column) => pair(column, row)));
    if (row.href) tip.append(line("chart-tip-hint", event.pointerType === "touch" ? say("Tap again to see the clips") : say("Click to see the clips")));
    tip.hidden = false;
    canvasOf(box)?.classList.toggle("leads", !!row.href);
    const place = box.getBoundingClientRect();
    const [x, y] = [event.clientX - place.left, event.clientY - place.top];
    tip.style.left = `${Math.max(0, Math.min(x + 14, place.width - tip.offsetWidth))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > place.height + 80 ? y - tip.offsetHeight - 10 : y + 18}px`;
  };

  const pair = ({ name, title, kind }, row) => {
    const value = long(row[name], kind);
    const told = line("", title);
    const figure = made("b");
    figure.textContent = kind === "micro" && currency ? `${value} ${currency}` : value;
    told.append(figure);
    return told;
  };

  const hide = () => {
    tip.hidden = true;
    canvasOf(box)?.classList.remove("leads");
  };

  let tapped = null;
  const follow = (event, item) => {
    const row = rowOf(event, item);
    if (!row?.href) return;
    if (event.pointerType === "touch" && tapped !== row.href) {
      tapped = row.href;
      return;
    }
    go(box, row.href, event);
  };

  const resized = new ResizeObserver(() => {
    if (!view || Math.abs(box.clientWidth - width) < 2) return;
    paint();
  });
  const themed = () => paint();
  document.addEventListener("vox:theme", themed);
  box.addEventListener("pointerleave", hide);
  resized.observe(box);
  paint().catch(() => {
    box.textContent = say("This chart could not be drawn. Its numbers are in the table.");
    box.classList.add("soft");
    box.closest(".chart")?.querySelector(".chart-table")?.classList.remove("unseen");
  });

  return () => {
    ended = true;
    resized.disconnect();
    document.removeEventListener("vox:theme", themed);
    view?.finalize();
  };
}

const canvasOf = (box) => box.querySelector(".chart-canvas");

function go(box, href, event) {
  const link = document.createElement("a");
  link.href = href;
  link.hidden = true;
  if (event.ctrlKey || event.metaKey) link.target = "_blank";
  box.append(link);
  if (!link.target) globalThis.htmx?.process(link);
  link.click();
  link.remove();
}

function made(tag, name = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  return element;
}

function line(name, text) {
  const element = made("p", name);
  const said = made("span");
  said.textContent = text;
  element.append(said);
  return element;
}

attach("[data-chart]", (box) => {
  const { names, lines, ...told } = JSON.parse(box.dataset.chart);
  return draw(box, { ...told, rows: lines.map((line) => Object.fromEntries(names.map((name, place) => [name, line[place]]))) });
});

// The numbers as a table, in place of the drawing.
attach("[data-chart-table]", (button) => {
  const table = button.closest(".chart").querySelector(".chart-table");
  const reach = (seen) => table.querySelectorAll("a").forEach((link) => (link.tabIndex = seen ? 0 : -1)); // no focus where nothing is seen
  reach(false);
  button.hidden = false;
  button.addEventListener("click", () => {
    const seen = !table.classList.toggle("unseen");
    table.tabIndex = seen ? 0 : -1;
    reach(seen);
    button.setAttribute("aria-pressed", String(seen));
  });
});
