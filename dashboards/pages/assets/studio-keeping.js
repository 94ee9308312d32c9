// Keeping one of several takes: it is pinned, rated and tagged; the others get a tag, and nothing else happens to them.

import { say, toast } from "./app.js";
import { send } from "./studio-asking.js";

const ASIDE = "set-aside";

export class Keeping {
  constructor(takes) {
    this.takes = takes;
    this.dialog = document.getElementById("keep");
    this.dialog.querySelector("form").addEventListener("submit", (event) => { if (event.submitter?.value === "keep") this.keep(); }, { signal: takes.off.signal });
  }

  ask(take) {
    this.kept = take;
    const { dialog } = this;
    const others = this.others();
    dialog.querySelector(".keep-name").textContent = `${say("Take %(num)s", { num: take.number })} · ${take.wanted.name ?? take.wanted.text.trim().slice(0, 80)}`;
    dialog.querySelector("[name=rating]").value = String(take.rating ?? "");
    for (const part of dialog.querySelectorAll("[data-others]")) part.hidden = !others.length;
    dialog.querySelector("[name=others]").checked = others.length > 0;
    dialog.querySelector("[data-others] span").textContent = others.length === 1 ? say("Tag the other take %(tag)s", { tag: ASIDE }) : say("Tag the other %(num)s takes %(tag)s", { num: others.length, tag: ASIDE });
    dialog.showModal();
  }
  others() {
    const { kept } = this;
    return this.takes.state.takes.filter((take) => take !== kept && take.clip && !take.aside && !take.clip.pinned && take.wanted.text.trim() === kept.wanted.text.trim());
  }
  async keep() {
    const { dialog, kept } = this;
    const value = (name) => dialog.querySelector(`[name=${name}]`);
    const tags = value("tags").value.split(/[,，]/).map((tag) => tag.trim()).filter(Boolean);
    const others = value("others").checked ? this.others() : [];
    const rating = Number(value("rating").value) || null;
    const pin = value("pin").checked;
    const fresh = tags.filter((tag) => !kept.clip.tags.includes(tag));
    const pinned = pin && !kept.clip.pinned;
    const changes = { clips: [kept.clip.id], tag: tags, rating: rating === kept.rating ? null : rating, pin: pinned ? { reason: say("kept in the studio") } : null };
    if (!(await this.change(changes))) return;
    kept.clip = { ...kept.clip, pinned: kept.clip.pinned || pin, tags: [...new Set([...kept.clip.tags, ...tags])] };
    kept.rating = rating ?? kept.rating;
    if (others.length && !(await this.change({ clips: others.map(({ clip }) => clip.id), tag: [ASIDE] }))) return;
    for (const other of others) other.aside = true;
    this.takes.remember();
    this.takes.show();
    toast(others.length ? say("Kept; the others are set aside.") : say("Kept."), { action: { label: say("Undo"), act: () => this.undo(kept, fresh, pinned, others) } });
  }
  async undo(kept, tags, pinned, others) {
    if (!(await this.change({ clips: [kept.clip.id], untag: tags, unpin: pinned }))) return;
    kept.clip = { ...kept.clip, pinned: kept.clip.pinned && !pinned, tags: kept.clip.tags.filter((tag) => !tags.includes(tag)) };
    if (others.length && !(await this.change({ clips: others.map(({ clip }) => clip.id), untag: [ASIDE] }))) return;
    for (const other of others) other.aside = false;
    this.takes.remember();
    this.takes.show();
  }
  async change(changes) {
    const { answer, fault } = await send("/api/clips/bulk", { body: changes });
    if (fault) toast(fault.message, { remedy: fault.remedy, bad: true });
    return Boolean(answer);
  }
}
