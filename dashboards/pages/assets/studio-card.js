// The card of a take: what it is, how it came, and what differs from the one before.

import { clock, say } from "./app.js";

const LABELS = () => ({
  text: say("text"), engine: say("engine"), voice: say("voice"), language: say("language"), emotion: say("emotion"),
  emotion_reference: say("emotion of"), emotion_words: say("emotion in words"), emotion_strength: say("strength"), seed: say("seed"),
  take: say("take"), speed: say("speed"), sampling: say("sampling"), format: say("format"), marks: say("marks"),
});

/** What differs between two requests: [name, before, after]. */
function differences(before, after, named) {
  const written = (value) => (value === undefined || value === null || value === "" ? "–"
    : typeof value === "object" ? Object.entries(value).map(([name, weight]) => `${named(name)} ${weight}`).join(", ") || "–" : String(value));
  const usual = { emotion_strength: 1, take: 1, speed: 1 };
  return Object.entries(LABELS()).map(([name, label]) => [label, written(before[name] ?? usual[name]), written(after[name] ?? usual[name])])
    .filter(([, one, other]) => one !== other).map(([label, ...both]) => (label === say("text") ? [label, "", ""] : [label, ...both]));
}

/** The same as elements of a list. */
export function told(before, after, named) {
  const found = differences(before, after, named);
  if (!found.length) return [Object.assign(document.createElement("li"), { className: "soft", textContent: say("The same settings") })];
  return found.map(([label, one, other]) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("span"), { textContent: label }), one || other ? ` ${one} → ${other}` : ` ${say("changed")}`);
    return item;
  });
}

/** Draws all of a card but its waveform. `before` is the take before it, `clip` what the player is given. */
export function paint(card, take, { before, newest, named, clip: heard }) {
  const { clip, state, fault, wanted } = take;
  const under = state === "waiting" || state === "coming";
  card.dataset.state = state ?? "waiting";
  card.dataset.emotion = clip?.emotion ?? strongest(wanted.emotion);
  card.classList.toggle("aside", Boolean(take.aside));
  card.querySelector(".name b").textContent = say("Take %(num)s", { num: take.number });
  card.querySelector(".name span").textContent = wanted.name ?? wanted.text.trim().replace(/^\[[^\]\n]*\]\s*/, "").slice(0, 90);
  const mood = made("span", "emotion", named(card.dataset.emotion));
  mood.dataset.emotion = card.dataset.emotion;
  const facts = [clip?.voice ?? wanted.voice, clip?.engine ?? wanted.engine, clip?.language, clip && clock(clip.duration)].filter(Boolean);
  card.querySelector(".by").replaceChildren(mood, ...facts.map((text) => made("span", "", text)));
  card.querySelector(".badges").replaceChildren(...badges(take).map(([text, kind]) => made("span", `badge ${kind}`, text)));
  play(card, heard);
  if (state === "failed") take.free ??= Date.now() + fault.after * 1000;
  const error = card.querySelector(".fault");
  error.hidden = state !== "failed";
  if (!error.hidden) [error.querySelector("p").textContent, error.querySelector("p.soft").textContent] = [fault.message, fault.remedy];
  card.querySelector(".differences").replaceChildren(...(before ? [made("li", "", say("Since take %(num)s:", { num: before.number })), ...told(before.wanted, wanted, named)] : []));
  for (const button of card.querySelectorAll("[data-rate]")) button.setAttribute("aria-pressed", String(Number(button.dataset.rate) <= (take.rating ?? 0)));
  for (const part of card.querySelectorAll("[data-keep], [data-next-take], .stars, .take-links")) part.hidden = !clip;
  card.querySelector("[data-remove]").hidden = under;
  card.querySelector("[data-keep]").classList.toggle("primary", Boolean(clip) && newest);
  if (!clip) return;
  card.dataset.clip = clip.id;
  card.querySelector("[data-open]").href = `/clips/${clip.id}`;
  card.querySelector("[data-download]").href = `/api/clips/${clip.id}/audio?download=1`;
}

function badges({ state, clip, aside }) {
  return [
    state === "there" && [say("was there already"), ""], state === "stopped" && [say("stopped"), ""], clip?.suspect?.length && [say("doubtful"), "warn"],
    clip?.pinned && [say("kept"), "good"], aside && [say("set aside"), ""],
  ].filter(Boolean);
}

function play(card, clip) {
  const room = card.querySelector(".take-play");
  if (!clip || room.querySelector("[data-play]")) return;
  const button = document.getElementById("take-button").content.firstElementChild.cloneNode(true);
  button.dataset.emotion = clip.emotion;
  button.dataset.play = JSON.stringify(clip);
  button.setAttribute("aria-label", say("Play %(title)s", { title: clip.title }));
  room.replaceChildren(button);
}

const made = (tag, name, text) => Object.assign(document.createElement(tag), { className: name, textContent: text });
const strongest = (emotion) => Object.entries(emotion ?? {}).reduce((most, next) => (next[1] > most[1] ? next : most), ["neutral", 0])[0];
