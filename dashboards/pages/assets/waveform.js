// Waveforms: the outline of a clip, fetched once and drawn in its emotion's colour.

import { ask, attach, colour } from "./app.js";

const outlines = new Map();

const TOGETHER = 12;  // the first of a list need not wait for the last, where they are drawn for the first time
const waiting = new Map();

/** The peaks of a clip, [lowest, highest] of each part, full scale being ±127; null where it cannot be drawn. Those that are asked for at
 *  the same moment come together.
 */
export function peaks(id, points = 400) {
  const key = `${id} ${points}`;
  if (!outlines.has(key)) {
    if (outlines.size > 500) outlines.delete(outlines.keys().next().value);
    outlines.set(key, new Promise((given) => {
      if (!waiting.has(points)) {
        waiting.set(points, new Map());
        queueMicrotask(() => fetched(points));
      }
      waiting.get(points).set(id, given);
    }));
  }
  return outlines.get(key);
}

function fetched(points) {
  const asked = [...waiting.get(points)];
  waiting.delete(points);
  for (let at = 0; at < asked.length; at += TOGETHER) {
    const some = asked.slice(at, at + TOGETHER);
    const query = new URLSearchParams([["points", points], ...some.map(([id]) => ["clip", id])]);
    ask(`/api/waveforms?${query}`, { quiet: true }).then((answer) => {
      const found = new Map((answer?.waveforms ?? []).map((each) => [each.clip, each.peaks]));
      for (const [id, given] of some) {
        if (!found.has(id)) outlines.delete(`${id} ${points}`);
        given(found.get(id) ?? null);
      }
    });
  }
}

/** Draws peaks into a canvas as bars: `played` (0 to 1) of them in `--emotion` of the canvas, the rest softer. */
export function draw(canvas, found, played = 1) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const [strong, soft] = [colour("--emotion", canvas.parentElement), colour("--dots", canvas.parentElement)];
  const [bar, gap] = width > 160 ? [2, 1] : [1.5, 1];
  const bars = Math.max(1, Math.floor(width / (bar + gap)));
  const loudest = Math.max(1, ...(found ?? []).map(([low, high]) => Math.max(-low, high)));
  for (let at = 0; at < bars; at += 1) {
    let reach = 0;
    if (found?.length) {
      const from = Math.floor((at * found.length) / bars);
      const to = Math.max(from + 1, Math.floor(((at + 1) * found.length) / bars));
      for (let part = from; part < to && part < found.length; part += 1) reach = Math.max(reach, -found[part][0], found[part][1]);
    }
    const tall = Math.max(2, (reach / loudest) * (height - 2));
    context.fillStyle = (at + 0.5) / bars <= played ? strong : soft;
    context.beginPath();
    context.roundRect(at * (bar + gap), (height - tall) / 2, bar, tall, bar / 2);
    context.fill();
  }
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    peaks(entry.target.dataset.wave, 200).then((found) => found && entry.target.isConnected && draw(entry.target, found));
  }
}, { rootMargin: "200px" });

// `<canvas data-wave="CLIP">` is drawn when it comes into sight.
attach("canvas[data-wave]", (canvas) => {
  seen.observe(canvas);
  const again = () => peaks(canvas.dataset.wave, 200).then((found) => found && draw(canvas, found));
  document.addEventListener("vox:theme", again);
  return () => {
    seen.unobserve(canvas);
    document.removeEventListener("vox:theme", again);
  };
});
