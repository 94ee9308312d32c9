// What the studio asks the node: with the errors in its hands, so that they are told where they belong.

import { say } from "./app.js";

const GONE = () => ({ message: say("The node does not answer."), remedy: say("Look whether it still runs, and try again."), after: 0 });

/** The error of an answer, in the one shape that all routes have; `after` are the seconds until it may be asked again. */
export async function faultOf(answer) {
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  const { error } = await answer.json().catch(() => ({}));
  return {
    message: error?.message ?? say("That did not work."), remedy: error?.remedy ?? "", code: error?.code ?? String(answer.status),
    after: Number(answer.headers.get("retry-after")) || 0,
  };
}

/** Sends something to the node: `{answer}`, or `{fault}` when it was refused, or neither when it was called off. */
export async function send(address, { method = "POST", body, signal } = {}) {
  try {
    const headers = { "HX-Request": "true", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
    const answer = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
    return answer.ok ? { answer } : { fault: await faultOf(answer) };
  } catch (error) {
    return error.name === "AbortError" ? {} : { fault: GONE() };
  }
}

/** The same, with what the node answers decoded: `{told}`. */
export async function post(address, body, options = {}) {
  const { answer, fault } = await send(address, { body, ...options });
  return answer ? { told: await answer.json() } : { fault };
}

/** A span of time in the largest unit that fits. */
export function span(seconds) {
  if (seconds < 90) return say("%(num)s s", { num: Math.max(1, Math.round(seconds)) });
  return seconds < 5400 ? say("%(num)s min", { num: Math.round(seconds / 60) }) : say("%(num)s h", { num: Math.round(seconds / 3600) });
}
