// The table of an answer: as many rows as there are, and in the page only those that are seen.

import { copy, say } from "./app.js";
import { short } from "./sql-editor.js";

const ROW = 29;
const HEAD = 46;
const NUMBER = 56;
const BEYOND = 12;
const WIDEST = 380;
const CLIP = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const WHOLE = /^-?\d+$/;
const EMOTIONS = new Set(["happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm", "neutral"]);
const collator = new Intl.Collator(undefined, { numeric: true });
const measure = document.createElement("canvas").getContext("2d");

/** What a column holds, by DuckDB's type: number, time, text, bool, list or bytes. */
export function kindOf(type) {
  if (/\[|^(STRUCT|MAP|UNION|JSON|VARIANT)/.test(type)) return "list";
  if (/^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|^(DOUBLE|FLOAT|REAL|DECIMAL|BIGNUM|VARINT)/.test(type)) return "number";
  if (/^(TIMESTAMP|DATE)/.test(type)) return "time";
  if (type === "BOOLEAN") return "bool";
  return type === "BLOB" ? "bytes" : "text";
}

/** A value as it is copied and searched for: the whole of it. */
export function plain(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const zoned = new Map();
function local(value, zone) {
  if (!zoned.has(zone)) {
    zoned.set(zone, new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    }));
  }
  return zoned.get(zone).format(new Date(value));
}

/** A moment as `2026-11-26 12:00:00.123`, in UTC or in a zone. */
export function moment(value, zone) {
  const found = /^([+-]?\d+-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$/.exec(value);
  if (!found) return value.replace("T", " ");
  const part = (found[3] ?? "").replace(/\.?0+$/, "").slice(0, 4);
  return (zone === "UTC" ? `${found[1]} ${found[2]}` : local(value, zone)) + part;
}

function shown(value, column, zone) {
  if (column.kind === "time" && typeof value === "string") return column.type.includes("ZONE") ? moment(value, zone) : value.replace("T", " ").replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  if (typeof value === "number" && !Number.isInteger(value)) return String(+value.toPrecision(12));
  return plain(value);
}

/** Of numbers; whole ones that round to the same are compared digit by digit. */
function apart(one, other) {
  const about = Number(one) - Number(other);
  if (about || !WHOLE.test(one) || !WHOLE.test(other)) return about;
  const [left, right] = [BigInt(one), BigInt(other)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function compare(one, other, kind) {
  if (kind === "number") return apart(one, other);
  if (kind === "bool") return one - other;
  const [left, right] = [plain(one), plain(other)];
  return kind === "text" ? collator.compare(left, right) : left < right ? -1 : left > right ? 1 : 0;
}

/** A table in an element. `answer` is that of /api/sql; `zone` the one in which moments are shown. Gives what can be done with it. */
export function table(place, answer, { zone, clips }) {
  const columns = answer.columns.map((column, at) => ({ ...column, at, kind: kindOf(column.type), clip: clips && column.type === "UUID" }));
  const { rows } = answer;
  let order = rows.map((_, at) => at);
  let sorted = null;
  let active = { row: 0, column: 0 };
  let drawn = new Map();
  let frame = 0;

  widths();
  const grid = element("div", "grid", { role: "grid", tabindex: "0", "aria-label": say("Answer"), "aria-rowcount": rows.length + 1, "aria-colcount": columns.length + 1 });
  const inner = element("div", "grid-inner");
  const head = element("div", "grid-head", { role: "row", "aria-rowindex": "1" });
  const body = element("div", "grid-body", { role: "rowgroup" });
  const top = element("div", "", { role: "rowgroup" });
  top.className = "grid-top";
  top.append(head);
  inner.append(top, body);
  grid.append(inner);
  const bar = element("div", "cell-bar");
  bar.hidden = !rows.length;
  place.replaceChildren(grid, bar);

  function widths() {
    measure.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    let left = NUMBER;
    for (const column of columns) {
      let width = Math.max(measure.measureText(column.name).width + 34, measure.measureText(short(column.type)).width * 0.85 + 24);
      for (const row of rows.slice(0, 120)) {
        const value = row[column.at];
        const text = value === null ? "NULL" : shown(value, column, zone).slice(0, 90);
        width = Math.max(width, measure.measureText(text).width + (column.name === "emotion" ? 40 : 26));
      }
      column.width = Math.ceil(Math.min(column.own ?? width, column.own ? 4000 : WIDEST));
      column.left = left;
      left += column.width;
    }
  }

  function total() {
    const last = columns.at(-1);
    return last ? last.left + last.width : NUMBER;
  }

  function heads() {
    const number = element("div", "grid-number", { role: "columnheader", "aria-colindex": "1" });
    number.append(element("span", "unseen", {}, say("Row")));
    head.replaceChildren(number);
    for (const column of columns) {
      const cell = element("div", `grid-name ${column.kind}`, { role: "columnheader", "aria-colindex": column.at + 2 });
      const direction = sorted?.column === column.at ? (sorted.down ? "descending" : "ascending") : null;
      if (direction) cell.setAttribute("aria-sort", direction);
      const button = element("button", "", { type: "button", tabindex: "-1", title: `${column.name} · ${column.type}` });
      button.append(element("span", "", {}, column.name), element("small", "", {}, short(column.type)));
      button.addEventListener("click", () => sort(column.at));
      const edge = element("span", "grid-edge", { "aria-hidden": "true" });
      edge.addEventListener("pointerdown", (event) => resize(event, column, edge));
      edge.addEventListener("dblclick", () => {
        delete column.own;
        layout();
      });
      cell.append(button, edge);
      cell.style.left = `${column.left}px`;
      cell.style.width = `${column.width}px`;
      head.append(cell);
    }
  }

  function layout() {
    widths();
    inner.style.width = `${total()}px`;
    body.style.height = `${rows.length * ROW}px`;
    heads();
    redraw();
  }

  function redraw() {
    for (const row of drawn.values()) row.remove();
    drawn = new Map();
    draw();
  }

  // Only the rows that are seen, and of them only the columns that are.
  function draw() {
    frame = 0;
    const first = Math.max(0, Math.floor((grid.scrollTop - HEAD) / ROW) - BEYOND);
    const last = Math.min(rows.length, Math.ceil((grid.scrollTop + grid.clientHeight) / ROW) + BEYOND);
    const [from, to] = [grid.scrollLeft - 200, grid.scrollLeft + grid.clientWidth + 200];
    const seen = columns.filter((column) => column.left + column.width > from && column.left < to);
    const key = seen.length ? `${seen[0].at}-${seen.at(-1).at}` : "";
    for (const [at, row] of drawn) {
      if (at < first || at >= last || row.dataset.seen !== key) {
        row.remove();
        drawn.delete(at);
      }
    }
    for (let at = first; at < last; at++) {
      if (drawn.has(at)) continue;
      const row = made(at, seen);
      row.dataset.seen = key;
      drawn.set(at, row);
      body.append(row);
    }
    point();
  }

  function made(at, seen) {
    const values = rows[order[at]];
    const row = element("div", "grid-row", { role: "row", "aria-rowindex": at + 2 });
    row.style.top = `${at * ROW}px`;
    row.append(element("div", "grid-number", { role: "rowheader", "aria-colindex": "1" }, String(order[at] + 1)));
    for (const column of seen) {
      const cell = element("div", `grid-cell ${column.kind}`, { role: "gridcell", "aria-colindex": column.at + 2, id: `cell-${at}-${column.at}` });
      cell.style.left = `${column.left}px`;
      cell.style.width = `${column.width}px`;
      fill(cell, values[column.at], column);
      row.append(cell);
    }
    return row;
  }

  function fill(cell, value, column) {
    if (value === null) {
      cell.classList.add("null");
      cell.textContent = "NULL";
    } else if (column.clip && CLIP.test(value)) {
      const link = element("a", "", { href: `/clips/${value}`, tabindex: "-1" }, value);
      cell.append(link);
    } else if (column.name === "emotion" && EMOTIONS.has(value)) {
      cell.append(element("span", "emotion", { "data-emotion": value }, value));
    } else {
      cell.textContent = shown(value, column, zone).slice(0, 400);
    }
  }

  function sort(column) {
    sorted = sorted?.column !== column ? { column, down: columns[column].kind === "number" } : sorted.down === (columns[column].kind === "number") ? { column, down: !sorted.down } : null;
    order = rows.map((_, at) => at);
    if (sorted) {
      const { kind } = columns[column];
      const sign = sorted.down ? -1 : 1;
      order.sort((one, other) => {
        const [left, right] = [rows[one][column], rows[other][column]];
        if (left === null || right === null) return (left === null) - (right === null) || one - other;
        return sign * compare(left, right, kind) || one - other;
      });
    }
    active.row = 0;
    grid.scrollTop = 0;
    heads();
    redraw();
    tell();
  }

  function resize(event, column, edge) {
    event.preventDefault();
    edge.setPointerCapture(event.pointerId);
    const [start, width] = [event.clientX, column.width];
    const move = (moved) => {
      column.own = Math.max(48, width + moved.clientX - start);
      let left = NUMBER;
      for (const each of columns) {
        if (each === column) each.width = each.own;
        each.left = left;
        left += each.width;
      }
      inner.style.width = `${total()}px`;
      [...head.children].slice(1).forEach((cell, at) => {
        cell.style.left = `${columns[at].left}px`;
        cell.style.width = `${columns[at].width}px`;
      });
      redraw();
    };
    edge.addEventListener("pointermove", move);
    edge.addEventListener("pointerup", () => edge.removeEventListener("pointermove", move), { once: true });
  }

  const value = () => rows[order[active.row]]?.[active.column];

  /** Shows which cell is meant. */
  function point() {
    grid.querySelector(".grid-cell.active")?.classList.remove("active");
    const cell = drawn.get(active.row)?.querySelector(`#cell-${active.row}-${active.column}`);
    if (cell) {
      cell.classList.add("active");
      grid.setAttribute("aria-activedescendant", cell.id);
    } else grid.removeAttribute("aria-activedescendant");
  }

  function tell() {
    const column = columns[active.column];
    if (!column || !rows.length) return;
    const found = value();
    const said = element("p", "cell-value", { tabindex: "0", role: "region", "aria-label": say("The chosen cell") });
    if (found === null) said.append(element("span", "null", {}, "NULL"));
    else said.textContent = column.kind === "time" && column.type.includes("ZONE") ? `${moment(found, zone)} (${zone})` : plain(found);
    const what = element("p", "cell-name");
    what.append(element("b", "", {}, column.name), element("span", "soft", {}, ` ${short(column.type)}`));
    bar.replaceChildren(what, said, tool(say("Copy cell"), () => copy(plain(found))), tool(say("Copy row"), () => copy(rowText())));
    if (column.clip && CLIP.test(found ?? "")) {
      bar.append(tool(say("Play"), () => globalThis.voxPlayer?.play({ id: found, title: found.slice(-8), voice: null, emotion: "neutral", emotionName: "", duration: 0 })));
    }
  }

  function tool(label, act) {
    const button = element("button", "button small", { type: "button" }, label);
    button.addEventListener("click", act);
    return button;
  }

  const rowText = () => rows[order[active.row]].map((each) => plain(each).replace(/[\t\n\r]+/g, " ")).join("\t");

  function go(row, column) {
    active = { row: Math.min(Math.max(row, 0), rows.length - 1), column: Math.min(Math.max(column, 0), columns.length - 1) };
    const [top, bottom] = [active.row * ROW, active.row * ROW + ROW];
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (bottom > grid.scrollTop + grid.clientHeight - HEAD) grid.scrollTop = bottom - grid.clientHeight + HEAD;
    const { left, width } = columns[active.column];
    if (left < grid.scrollLeft + NUMBER) grid.scrollLeft = left - NUMBER;
    else if (left + width > grid.scrollLeft + grid.clientWidth) grid.scrollLeft = left + Math.min(width, grid.clientWidth - NUMBER) - grid.clientWidth;
    draw();
    tell();
  }

  const page = () => Math.max(1, Math.floor((grid.clientHeight - HEAD) / ROW) - 1);
  const steps = {
    ArrowDown: () => [1, 0], ArrowUp: () => [-1, 0], ArrowRight: () => [0, 1], ArrowLeft: () => [0, -1], PageDown: () => [page(), 0], PageUp: () => [-page(), 0],
  };
  grid.addEventListener("keydown", (event) => {
    if (!rows.length || event.target !== grid) return;
    const mod = event.ctrlKey || event.metaKey;
    if (mod && event.key.toLowerCase() === "c" && !String(getSelection())) copy(event.shiftKey ? rowText() : plain(value()));
    else if (event.key === "Home") go(mod ? 0 : active.row, 0);
    else if (event.key === "End") go(mod ? rows.length : active.row, columns.length);
    else if (event.key === "Enter") followed();
    else if (event.key.toLowerCase() === "s" && !mod && !event.altKey) sort(active.column);
    else if (event.key in steps && !mod) {
      const [down, right] = steps[event.key]();
      go(active.row + down, active.column + right);
    } else return;
    event.preventDefault();
  });
  const followed = () => grid.querySelector(".grid-cell.active a")?.click();
  grid.addEventListener("click", (event) => {
    const cell = event.target.closest(".grid-cell");
    if (!cell) return;
    const [, row, column] = cell.id.split("-");
    active = { row: +row, column: +column };
    point();
    tell();
  });
  grid.addEventListener("scroll", () => (frame ||= requestAnimationFrame(draw)), { passive: true });
  const resized = new ResizeObserver(() => (frame ||= requestAnimationFrame(draw)));
  resized.observe(grid);
  layout();
  tell();

  return {
    zone(next) {
      zone = next;
      layout();
      tell();
    },
    /** All rows in their present order, with their names, for a spreadsheet. */
    text: () => [columns.map((column) => column.name), ...order.map((at) => rows[at].map((each) => plain(each).replace(/[\t\n\r]+/g, " ")))].map((row) => row.join("\t")).join("\n"),
    zones: columns.some((column) => column.kind === "time" && column.type.includes("ZONE")),
    end() {
      resized.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}

/** An element with attributes and a text. */
export function element(tag, name = "", attributes = {}, text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  for (const [key, given] of Object.entries(attributes)) made.setAttribute(key, given);
  if (text) made.textContent = text;
  return made;
}
