// A question, its answers with and without the datastore, and with parts of it.

import { cardOf } from "./card.js";
import { $, count, element, figure } from "./elements.js";
import { open, titleOf } from "./passage.js";
import { Refusal, call, events, told } from "./service.js";

// The smallest part of the store that can be asked holds about so many passages.
const FEWEST = 4;
const state = { total: 0, question: "", running: null, tried: new Map() };
// Who writes into a section.
const writers = new Map();

/** Writes an answer into its section as it comes; gives what is known at its end. */
async function write(section, retrieval, signal) {
  const at = (name) => section.querySelector(name);
  section.setAttribute("aria-busy", "true");
  section.classList.remove("abstains");
  at(".note").hidden = true;
  at(".took").textContent = "";
  at(".text").replaceChildren();
  const body = { messages: [{ role: "user", content: state.question }], stream: true, retrieval };
  // Another question may be written there meanwhile: the section is its then.
  writers.set(section, signal);
  const mine = () => writers.get(section) === signal;
  let text = "", last = {};
  try {
    const reply = await call("v1/chat/completions", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
    });
    for await (const event of events(reply)) {
      if (event.error) throw new Refusal(event.error.message);
      const choice = event.choices[0];
      text += choice?.delta?.content ?? "";
      at(".text").replaceChildren(...pieces(text, []));
      if (choice?.finish_reason) last = { ...event, ...choice };
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    if (mine()) note(section, "Stopped");
    return null;
  } finally {
    if (mine()) section.removeAttribute("aria-busy");
  }
  at(".text").replaceChildren(...pieces(text || "(no answer)", last.citations ?? []));
  section.classList.toggle("abstains", Boolean(last.abstained));
  note(section, remark(last));
  at(".took").textContent = took(last.seconds ?? {});
  return { ...last, text };
}

/** Text with its markers: buttons where the passage is known, else small numbers. */
function pieces(text, citations) {
  return text.split(/(\[\d+\])/).filter(Boolean).map((piece) => {
    const number = Number(/^\[(\d+)\]$/.exec(piece)?.[1]);
    if (!number) return document.createTextNode(piece);
    const source = citations.find((one) => one.number === number && one.id);
    const mark = element(source ? "button" : "sup", String(number), "cite");
    if (source) {
      mark.type = "button";
      mark.setAttribute("aria-label", `Source ${number}: ${titleOf(source)}`);
      mark.addEventListener("click", () => open(source));
    }
    return mark;
  });
}

function remark(last) {
  if (last.abstained) return last.citations?.length ? "The passages do not tell it" : "It does not know";
  if (last.finish_reason === "length") return "Cut: the answer has the most words it may";
  if (last.citations?.length && !last.citations.some((one) => one.cited)) return "Nothing is cited: no passage says it";
  return "";
}

function took(seconds) {
  const named = Object.entries(seconds).filter(([, value]) => value >= 0.005);
  return named.map(([name, value]) => `${name} ${figure.format(value)} s`).join(" · ");
}

function note(section, text) {
  const found = section.querySelector(".note");
  found.textContent = text;
  found.hidden = !text;
}

/** Asks of the part that the slider says; the model alone only where that is asked for too. */
async function ask(alone) {
  state.running?.abort();
  const mine = (state.running = new AbortController());
  $("answers").hidden = false;
  $("problem").hidden = true;
  busy(true);
  const size = Number($("size").value);
  const jobs = [write($("with"), { view: { fraction: fractionOf(size) } }, mine.signal)];
  if (alone) jobs.push(write($("alone"), { passages: 0 }, mine.signal));
  const ended = await Promise.allSettled(jobs);
  if (state.running !== mine) return; // Something else is asked by now.
  busy(false);
  const failed = ended.find((one) => one.status === "rejected");
  if (failed) return complain(failed.reason);
  const answer = ended[0].value;
  if (!answer) return;
  list(answer.citations ?? []);
  state.tried.set(size, answer);
  compare(size);
}

function busy(is) {
  $("send").hidden = is;
  $("stop").hidden = !is;
  $("status").textContent = is ? "The answer is being written." : "";
}

function complain(error) {
  $("problem").textContent = told(error);
  $("problem").hidden = false;
}

function list(citations) {
  $("read").hidden = !citations.length;
  $("sources").replaceChildren(...citations.map(sourceItem));
  const cited = citations.filter((one) => one.cited).length;
  $("status").textContent = `The answer is there. It cites ${cited} of ${citations.length} passages that were read.`;
}

function sourceItem(source) {
  const item = element("li", "", source.cited ? "cited" : "");
  const button = element("button");
  const where = `${source.domain} · passage ${source.chunk + 1} · ${source.cited ? "cited" : "read, not cited"}`;
  button.type = "button";
  button.disabled = !source.id;
  button.append(element("span", titleOf(source), "title"), element("span", where, "where"),
    element("span", source.text, "excerpt"));
  button.addEventListener("click", () => open(source));
  item.append(element("span", String(source.number), "number"), button);
  return item;
}

// ---- The datastore's size

const fractionOf = (size) => 2 ** (size - Number($("size").max));

function passagesAt(size) {
  const part = Math.round(state.total * fractionOf(size));
  return size === Number($("size").max) ? `all ${count.format(state.total)}` : `about ${count.format(part)}`;
}

function showSize() {
  const size = Number($("size").value);
  $("passages").textContent = passagesAt(size);
  $("size").setAttribute("aria-valuetext", `${passagesAt(size)} passages`);
}

function compare(now) {
  $("others").hidden = state.tried.size < 2;
  const sizes = [...state.tried.keys()].sort((a, b) => b - a);
  $("tried").replaceChildren(...sizes.map((size) => {
    const row = element("tr", "", size === now ? "now" : "");
    const head = element("th", passagesAt(size));
    head.scope = "row";
    row.append(head, element("td", state.tried.get(size).text.replaceAll(/ *\[\d+\]/g, "") || "(no answer)"));
    return row;
  }));
}

// ---- What is asked

async function introduce() {
  const card = await (await call("card")).json();
  state.total = card.stores.reduce((sum, one) => sum + one.passages, 0);
  const names = card.stores.map((one) => one.name).join(", ");
  document.title = `${names} · ralm`;
  $("served").textContent = `${names}, read by ${card.reader.name}`;
  $("cards").replaceChildren(...card.stores.map(cardOf));
  $("stores").hidden = false;
  const steps = Math.max(0, Math.floor(Math.log2(state.total / FEWEST)));
  $("size").max = String(steps); // First: a value beyond it would be cut.
  $("size").value = String(steps);
  $("sizing").hidden = steps === 0;
  showSize();
}

// ---- What people do

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question) return;
  state.question = question;
  state.tried.clear();
  compare(-1);
  $("read").hidden = true;
  ask(true);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("ask").requestSubmit();
});
$("stop").addEventListener("click", () => {
  state.running?.abort();
  $("question").focus();
});
$("size").addEventListener("input", showSize);
let settled = 0;
$("size").addEventListener("change", () => {
  clearTimeout(settled);
  // By keyboard each step is a change: the last one is meant.
  if (state.question) settled = setTimeout(() => ask(false), 350);
});

/** Waits while the service loads its models. */
async function begin() {
  try {
    await introduce();
    $("problem").hidden = true;
  } catch (error) {
    complain(error);
    if (error.status === 503) setTimeout(begin, 2000);
  }
}

begin();
$("question").focus();
