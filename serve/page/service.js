// Asks the service as any client does, with a key where it wants one.

import { $ } from "./elements.js";

const KEY = "ralm-key";

/** What the service refuses, in its own words. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** The reply to a request; asks for a key if there must be one. Raises Refusal. */
export async function call(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The service does not answer: is it still running?");
  }
  if (reply.ok) return reply;
  const said = await sentence(reply);
  // Another call may have been given a key meanwhile.
  const again = reply.status === 401 && (sessionStorage.getItem(KEY) !== key || (await askForKey(said)));
  if (again) return call(path, options);
  throw new Refusal(said, reply.status);
}

async function sentence(reply) {
  const told = await reply.json().catch(() => null);
  return told?.error?.message ?? `The service answers with ${reply.status} and does not say why.`;
}

let waiting = null;

/** Resolves to whether a key was given; who asks meanwhile waits for the same one. */
function askForKey(why) {
  waiting ??= new Promise((resolve) => {
    $("keys-why").textContent = why;
    $("key").value = "";
    $("keys").addEventListener("close", () => {
      waiting = null;
      const given = $("keys").returnValue;
      if (given) sessionStorage.setItem(KEY, given);
      resolve(Boolean(given));
    }, { once: true });
    $("keys").returnValue = "";
    $("keys").showModal();
  });
  return waiting;
}

/** What a reply of server-sent events says, one event after the other. */
export async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) throw new Refusal("The answer broke off: ask again.");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((one) => one.startsWith("data:"))) {
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

/** Whether a key is sent: a link cannot send one. */
export const locked = () => sessionStorage.getItem(KEY) !== null;

/** What went wrong, in a sentence. */
export function told(error) {
  if (error instanceof Refusal) return error.message;
  console.error(error);
  return "This page failed: reload it.";
}

$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  $("keys").close($("key").value.trim());
});
$("without").addEventListener("click", () => $("keys").close(""));
