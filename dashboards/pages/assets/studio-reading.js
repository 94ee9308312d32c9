// What the node says will become of a text and an emotion: their length and language, what each weight comes to, what is wrong.

import { say } from "./app.js";
import { post, span } from "./studio-asking.js";

const SVG = "http://www.w3.org/2000/svg";
export const EMOTIONS = ["happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm"];
export const two = (number) => number.toFixed(2);

export class Reading {
  constructor(studio) {
    this.studio = studio;
    this.desk = studio.desk;
    this.form = studio.form;
    this.told = null;
  }
  end() { clearTimeout(this.later); }

  /** Asks soon after the last change; whoever may not ask often asks seldom. */
  ask() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.read(), this.desk.dataset.sparing === "yes" ? 2500 : 180);
  }
  async read() {
    const wanted = this.studio.wanted();
    const key = JSON.stringify(wanted);
    if (key === this.asked) return;
    this.asked = key;
    const { told, fault } = await post("/studio/reading", wanted, { signal: this.studio.off.signal });
    if (this.asked !== key || this.studio.off.signal.aborted) return;
    if (fault) this.faults([{ ...fault, about: "request" }]);
    if (!told) return;
    this.told = told;
    this.desk.dataset.read = String(Number(this.desk.dataset.read ?? 0) + 1);
    this.faults(told.faults);
    this.tell(told);
  }

  tell({ seconds, guessed, asked, applied, marks, more_marks: more }) {
    const language = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
    const told = (name, text) => { this.desk.querySelector(`[data-told=${name}]`).textContent = text; };
    const filled = this.studio.text.value.trim() !== "";
    told("seconds", filled ? say("about %(span)s", { span: span(seconds) }) : "");
    told("language", filled && !this.studio.value("language") ? say("%(language)s, as it seems", { language: language.of(guessed) }) : "");
    this.studio.field("language").options[0].textContent = filled ? say("As the text: %(language)s", { language: language.of(guessed) }) : say("As the text");
    if (this.studio.value("way") === "vector") this.sum(asked, applied);
    this.legend(marks, more);
  }

  sum(asked, applied) {
    const sums = [asked, applied ?? []].map((weights) => weights.reduce((sum, weight) => sum + weight, 0));
    const bar = this.form.querySelector(".sum-bar");
    const parts = [];
    let at = 0;
    EMOTIONS.forEach((name, place) => {
      const row = this.form.querySelector(`.slider[data-emotion=${name}]`);
      const weight = applied?.[place] ?? 0;
      row.querySelector(".applied").textContent = applied && Math.abs(weight - Number(this.studio.value(name))) >= 0.005 ? `→ ${two(weight)}` : "";
      row.querySelector("rect").setAttribute("width", String(Math.min(1, weight) * 100));
      if (!weight) return;
      const part = document.createElementNS(SVG, "rect");
      for (const [key, value] of Object.entries({ x: at * 100, width: weight * 100, height: 8 })) part.setAttribute(key, String(value));
      part.dataset.emotion = name;
      at += weight;
      parts.push(part);
    });
    bar.replaceChildren(...parts);
    const [said, heard] = sums.map(two);
    this.form.querySelector("[data-sum]").textContent = !sums[0] ? say("No emotion: the voice's own way.")
      : !applied ? say("Sum %(asked)s.", { asked: said })
      : Math.abs(sums[0] - sums[1]) < 0.005 ? say("Sum %(asked)s, applied as asked.", { asked: said })
      : say("Sum %(asked)s asked, %(applied)s applied.", { asked: said, applied: heard });
  }

  legend(marks, more) {
    const list = this.desk.querySelector(".marks");
    list.hidden = !marks.length;
    this.desk.querySelector(".marks-hint").hidden = marks.length > 0;
    list.replaceChildren(...marks.map(({ line, asked, applied }) => {
      const item = document.createElement("li");
      const where = document.createElement("span");
      where.textContent = say("Line %(num)s", { num: line });
      item.append(where);
      const weights = Object.entries(asked);
      for (const [name, weight] of weights.length ? weights : [["neutral", 0]]) {
        const part = document.createElement("span");
        part.className = "emotion";
        part.dataset.emotion = name;
        const own = applied?.[EMOTIONS.indexOf(name)] ?? weight;
        part.textContent = `${this.studio.named(name)}${weight ? ` ${weight}` : ""}${Math.abs(own - weight) >= 0.005 ? ` → ${two(own)}` : ""}`;
        item.append(part);
      }
      return item;
    }));
    if (more) list.insertAdjacentElement("beforeend", Object.assign(document.createElement("li"), { textContent: say("and %(num)s more", { num: more }) }));
  }

  faults(all) {
    for (const place of this.desk.querySelectorAll("[data-faults]")) {
      const here = all.filter(({ about }) => place.dataset.faults.split(" ").includes(about));
      place.querySelectorAll(".told").forEach((old) => old.remove());
      place.append(...here.map(({ message, remedy }) => {
        const line = document.createElement("p");
        line.className = "told";
        line.textContent = message;
        if (remedy) line.append(" ", Object.assign(document.createElement("span"), { className: "soft", textContent: remedy }));
        return line;
      }));
    }
  }
}
