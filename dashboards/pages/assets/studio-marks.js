// Marks in a text, shown while somebody writes. The node reads them (synth/text/marks.py) and says what is wrong with one; here only
// those are found that are right.

const NAMES = ["happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm", "neutral"];
const MARK = /^([^\S\n]*)\[([^[\]\n]{1,200})\]/;
const PART = /^([a-z]+)(?:\s*[:=]\s*(0|1|0?\.\d+|0\.\d+|1\.0+))?$/i;
const LONGEST = 30_000;

/** The weights of a mark by what stands between its brackets; null when that is no mark, or one with a slip in it. */
export function weights(content) {
  const parts = content.replace(/[：＝]/g, (sign) => (sign === "：" ? ":" : "=")).replace(/[，、]/g, ",").split(",").map((part) => part.trim());
  const found = {};
  for (const part of parts) {
    const [, name, weight] = PART.exec(part) ?? [];
    const known = name?.toLowerCase();
    if (!NAMES.includes(known) || known in found) return null;
    found[known] = weight === undefined ? 1 : Number(weight);
  }
  return "neutral" in found && parts.length > 1 ? null : found;
}

/** The text as elements: lines with their marks in the colour of the strongest emotion. */
export function shown(text, heeded) {
  const made = document.createDocumentFragment();
  if (!heeded || !text.includes("[") || text.length > LONGEST) {
    made.append(`${text}\n`);
    return made;
  }
  for (const line of text.split("\n")) {
    const found = MARK.exec(line);
    const given = found && weights(found[2]);
    if (given) {
      const mark = document.createElement("mark");
      mark.dataset.emotion = Object.entries(given).reduce((most, next) => (next[1] > most[1] ? next : most))[0];
      mark.textContent = found[0].slice(found[1].length);
      made.append(found[1], mark, `${line.slice(found[0].length)}\n`);
    } else made.append(`${line}\n`);
  }
  return made;
}

/** The text with a mark before the line in which the caret stands, in place of one that is there; and where the caret is then. */
export function marked(text, caret, mark) {
  const begin = text.lastIndexOf("\n", caret - 1) + 1;
  const end = text.indexOf("\n", caret) < 0 ? text.length : text.indexOf("\n", caret);
  const line = text.slice(begin, end);
  const found = MARK.exec(line);
  const bare = found && weights(found[2]) ? line.slice(found[0].length).trimStart() : line;
  const next = mark ? `${mark} ${bare}` : bare;
  return [text.slice(0, begin) + next + text.slice(end), begin + next.length];
}
