// The sound of a clip while it is made: lines of JSON from the node, what they hold as samples, and the outline that grows.

const AHEAD = 0.06;
const MOST_AHEAD = 1200;
const FINEST = 0.005;
const MOST_PARTS = 1600;

/** The lines of an answer, decoded, as they come. */
export async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part) yield JSON.parse(part);
    }
    if (rest.trim()) yield JSON.parse(rest);
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** 32-bit floats from base64. */
export function samples(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return new Float32Array(bytes.buffer);
}

/** Plays stretches of samples one after another, from the first one on. */
export class Sounding {
  #context = null;
  #next = 0;
  #over = 0;
  #spans = [];
  #full = false;

  /** Browsers want it begun while somebody clicks. */
  begin() {
    this.#context = new AudioContext();
    this.#context.resume().catch(() => {});
  }
  hear(stretch, rate) {
    if (!this.#context || !stretch.length || this.#full) return;
    const start = Math.max(this.#next, this.#context.currentTime + AHEAD);
    if (start - this.#context.currentTime > MOST_AHEAD) {  // what an engine makes in minutes may last for hours
      this.#full = true;
      return;
    }
    const buffer = this.#context.createBuffer(1, stretch.length, rate);
    buffer.copyToChannel(stretch, 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.start(start);
    this.#next = start + buffer.duration;
    this.#spans.push([start, buffer.duration]);
  }
  /** Seconds of the clip that were heard so far. */
  get heard() {
    const now = this.#context?.currentTime ?? 0;
    while (this.#spans.length && this.#spans[0][0] + this.#spans[0][1] <= now) this.#over += this.#spans.shift()[1];
    const [start, length] = this.#spans[0] ?? [now, 0];
    return this.#over + Math.min(Math.max(now - start, 0), length);
  }
  get sounds() { return this.#context !== null && this.#context.state !== "closed" && this.#context.currentTime < this.#next; }
  stop() {
    if (this.#context && this.#context.state !== "closed") this.#context.close().catch(() => {});
    this.#context = null;
  }
}

/** The outline of samples that come bit by bit: [lowest, highest] of equal parts, full scale being ±127; the longer, the coarser. */
export class Outline {
  peaks = [];
  seconds = 0;
  #part = FINEST;
  #low = 0;
  #high = 0;
  #filled = 0;

  add(stretch, rate) {
    let size = Math.max(1, Math.round(rate * this.#part));
    for (const sample of stretch) {
      if (sample < this.#low) this.#low = sample;
      if (sample > this.#high) this.#high = sample;
      this.#filled += 1;
      if (this.#filled < size) continue;
      this.peaks.push([Math.round(this.#low * 127), Math.round(this.#high * 127)]);
      this.#low = this.#high = this.#filled = 0;
      if (this.peaks.length < MOST_PARTS) continue;
      this.peaks = this.peaks.flatMap((peak, at) => (at % 2 ? [] : [[Math.min(peak[0], this.peaks[at + 1]?.[0] ?? 0), Math.max(peak[1], this.peaks[at + 1]?.[1] ?? 0)]]));
      this.#part *= 2;
      size = Math.max(1, Math.round(rate * this.#part));
    }
    this.seconds += stretch.length / rate;
  }
  /** With silence up to a length in seconds, so that what is there grows from the left. */
  upTo(seconds) {
    const missing = Math.min(8 * MOST_PARTS, Math.max(0, Math.round(seconds / this.#part) - this.peaks.length));
    return [...this.peaks, ...Array.from({ length: missing }, () => [0, 0])];
  }
}
