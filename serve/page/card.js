// The card of a store: what people want to know before they ask it.

import { count, element, figure } from "./elements.js";

/** A store of `GET /card` as an element. */
export function cardOf(store) {
  const card = element("article", "", "card");
  const facts = element("dl");
  const built = [store.seconds && duration(store.seconds), store.joules && energy(store.joules)].filter(Boolean);
  const recall = store.index.measured_recall ?? store.index.recall;
  fact(facts, "Size", `${count.format(store.passages)} passages`, amount(store.bytes, 1000, ["B", "kB", "MB", "GB", "TB", "PB"]));
  fact(facts, "Encoder", store.encoder.name, `${store.encoder.dimension} dimensions`);
  fact(facts, "Index", store.index.key, store.index.milliseconds ? `${figure.format(store.index.milliseconds)} ms a query` : "");
  fact(facts, "Recall at 10", `${figure.format(recall * 100)}%`, store.index.measured_recall === null ? "aimed at" : "measured");
  fact(facts, "Building took", built[0] ?? "not measured", built.length > 1 ? `${built[1]} (${store.energy_sources.join(", ")})` : "energy not measured");
  fact(facts, "Generation", String(store.generation), store.manifest.slice(0, 8));
  const domains = element("div", "", "wide");
  domains.append(element("dt", "Domains"), element("dd"));
  domains.lastChild.append(domainList(store));
  facts.append(domains);
  card.append(element("h3", store.name), facts);
  return card;
}

function fact(facts, name, value, more) {
  const pair = element("div");
  const told = element("dd", value);
  if (more) told.append(" ", element("small", more));
  pair.append(element("dt", name), told);
  facts.append(pair);
}

function domainList(store) {
  const domains = element("ul", "", "domains");
  for (const [name, passages] of Object.entries(store.domains)) {
    const row = element("li"), bar = element("i");
    bar.style.setProperty("--share", `${(100 * passages) / store.passages}%`);
    row.append(element("span", name), bar, element("span", count.format(passages)));
    domains.append(row);
  }
  if (store.more_domains) domains.append(element("li", `and ${count.format(store.more_domains)} more`));
  return domains;
}

function amount(value, step, units) {
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log(value) / Math.log(step))));
  return `${figure.format(value / step ** at)} ${units[at]}`;
}

const energy = (joules) => amount(joules, 1000, ["J", "kJ", "MJ", "GJ", "TJ"]);

function duration(seconds) {
  if (seconds < 90) return `${figure.format(seconds)} s of work`;
  return seconds < 5400 ? `${figure.format(seconds / 60)} min of work` : `${figure.format(seconds / 3600)} h of work`;
}
