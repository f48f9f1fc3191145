// The panel that shows a passage in its document.

import { $, element } from "./elements.js";
import { call, locked, told } from "./service.js";

// Passages on each side, at first and with each wish for more.
const NEIGHBOURS = [2, 10, 50];
let shown = null;

export const titleOf = (source) => source.metadata?.title || source.doc_id;

/** Opens the panel at a passage, by its citation. */
export async function open(source) {
  const [file, chunk] = source.id.split(".");
  shown = { source, file, chunk, reach: 0 };
  $("passage-title").textContent = titleOf(source);
  $("about").textContent = "";
  $("text").replaceChildren();
  $("passage").showModal();
  $("passage-title").focus();
  await show();
}

async function show() {
  const mine = shown;
  const reach = NEIGHBOURS[mine.reach];
  $("passage-problem").hidden = true;
  try {
    const reply = await call(`documents/${mine.file}/passages/${mine.chunk}?neighbours=${reach}`);
    const found = await reply.json();
    if (shown === mine) paint(found, reach);
  } catch (error) {
    if (shown !== mine) return;
    $("more").hidden = $("original").hidden = true;
    $("passage-problem").textContent = told(error);
    $("passage-problem").hidden = false;
  }
}

function paint(found, reach) {
  const parts = [...found.before, found, ...found.after];
  const texts = parts.flatMap((part, at) => [
    at ? document.createTextNode(between(parts[at - 1], part)) : "",
    part.id === found.id ? element("mark", part.text) : document.createTextNode(part.text),
  ]);
  $("passage-title").textContent = found.title;
  $("about").textContent = [found.domain, `passage ${found.chunk + 1}`, ...known(found.metadata)].join(" · ");
  $("text").replaceChildren(...texts);
  const whole = found.before.length < reach && found.after.length < reach;
  $("more").hidden = whole || shown.reach === NEIGHBOURS.length - 1;
  link(found);
  $("text").querySelector("mark").scrollIntoView({ block: "center" });
}

/** Where the document is read: at its own address, or on this service's page, which no key is sent with. */
function link(found) {
  const page = `documents/${found.file_id}`;
  const here = found.url.includes(`/${page}`);
  const web = /^https?:\/\//.test(found.url);
  $("original").href = here ? `${page}#chunk-${found.chunk}` : web ? found.url : "";
  $("original").textContent = here ? "The whole document" : "The original";
  $("original").hidden = here ? locked() : !web;
}

/** What stands between two passages: white space of known length, or what was dropped. */
function between(before, after) {
  if (after.chunk !== before.chunk + 1) return "\n\n[…]\n\n";
  const gap = after.start - before.start - [...before.text].length;
  return gap < 2 ? " ".repeat(Math.max(0, gap)) : "\n\n";
}

const known = (metadata) =>
  Object.entries(metadata).filter(([name, value]) => value !== null && name !== "title" && name !== "url")
    .map(([name, value]) => `${name} ${value}`);

$("close").addEventListener("click", () => $("passage").close());
$("passage").addEventListener("click", (event) => {
  if (event.target === $("passage")) $("passage").close(); // Beside it.
});
$("more").addEventListener("click", () => {
  shown.reach += 1;
  show();
});
