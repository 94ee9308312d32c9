// The making of a clip. It goes on while somebody looks at another page; stopping it ends the request, and with it the engine.

import { say } from "./app.js";
import { player } from "./player.js";
import { send } from "./studio-asking.js";
import { lines, Outline, samples, Sounding } from "./studio-sound.js";

const BROKEN = () => ({ message: say("The connection broke off."), remedy: say("Generate again: a clip that was recorded is given at once."), code: "broken", after: 0 });

export const making = {
  under: null,
  sounding: null,
  /** Makes a clip for a take, which is told what comes: `{state, outline, clip, fault}`. `moved` is called with each change. */
  async make(take, wanted, { aloud, moved }) {
    this.hush();
    const off = new AbortController();
    const sounding = aloud ? new Sounding() : null;
    player.pause();
    sounding?.begin();
    this.under = { take, off };
    this.sounding = sounding;
    Object.assign(take, { state: "waiting", outline: new Outline(), fault: null, began: Date.now() });
    moved(take);
    const { answer, fault } = await send("/api/clips/stream", { body: wanted, signal: off.signal });
    if (answer) await this.follow(answer, take, sounding, moved);
    else Object.assign(take, fault ? { state: "failed", fault } : { state: "stopped" });
    if (take.state !== "made" && take.state !== "there") sounding?.stop();
    if (this.under?.take === take) this.under = null;
    moved(take);
  },
  async follow(answer, take, sounding, moved) {
    try {
      for await (const line of lines(answer)) {
        if (line.chunk) {
          const stretch = samples(line.chunk.samples);
          take.outline.add(stretch, line.chunk.sample_rate);
          sounding?.hear(stretch, line.chunk.sample_rate);
          take.state = "coming";
        } else if (line.clip) Object.assign(take, { clip: line.clip, state: line.clip.reused ? "there" : "made" });
        else if (line.error) Object.assign(take, { state: "failed", fault: { ...line.error, after: line.retry_after ?? 0 } });
        moved(take);
      }
      if (take.state === "waiting" || take.state === "coming") Object.assign(take, { state: "failed", fault: BROKEN() });
    } catch (error) {
      Object.assign(take, error.name === "AbortError" ? { state: "stopped" } : { state: "failed", fault: BROKEN() });
    }
  },
  stop() {
    this.under?.off.abort();
    this.hush();
  },
  /** Ends the sound of what is made, but not the making. */
  hush() {
    this.sounding?.stop();
    this.sounding = null;
  },
};

document.addEventListener("vox:player", ({ detail }) => { if (detail.playing) making.hush(); });
