// What became of a promise: realised against predicted, tenth by tenth, and against the hold-out.

import { Chart } from "./chart.js";
import { h } from "./dom.js";
import { count, dayOf, factor, percent, sentence, users, windowOf } from "./words.js";

export function outcomePanel(audience) {
  return h("section", { class: "panel", id: "backtest" }, h("h2", null, "What became of it"), ...outcome(audience));
}

function outcome(audience) {
  const found = audience.backtest;
  if (!found)
    return [h("p", null, `Known when its window (${windowOf(audience)}) has passed and the night's run has looked.`)];
  if (found.status !== "measured") return [h("p", null, `${sentence(found.status)} ${sentence(found.reason ?? "")}`)];
  return [
    ...figures(found),
    tenths(found),
    found.effect && effect(found.effect),
    h("p", { class: "soft small" }, `Measured on ${dayOf(found.measured_at)}.`),
  ].filter(Boolean);
}

function figures({ realised, predicted, base_rate: usual, lift }) {
  const kept = predicted.within ? "The promise held" : "The promise did not hold";
  return [
    h(
      "p",
      { class: "headline" },
      h("b", { class: "accent" }, count(realised.count)),
      ` of ${count(realised.users)} did it; ${count(predicted.expected)} were expected.`,
    ),
    h(
      "p",
      { class: "soft" },
      `${kept}. That is ${percent(realised.rate)}, of everybody ${percent(usual)}${lift ? ` (${factor(lift)} as many)` : ""}.`,
    ),
  ];
}

function tenths(found) {
  const chart = new Chart();
  let start = 0;
  const line = found.deciles.map((each) => ({ size: (start += each.users) - each.users / 2, value: each.probability }));
  chart.update(
    found.deciles.map((each) => ({ users: each.users, value: each.rate })),
    line,
    start,
  );
  const rows = found.deciles.map((each) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, String(each.decile)),
      h("td", null, percent(each.probability)),
      h("td", null, percent(each.rate)),
      h("td", null, each.lift ? factor(each.lift) : "–"),
    ),
  );
  const head = h(
    "tr",
    null,
    ["Tenth", "Promised", "Did it", "Lift"].map((each) => h("th", { scope: "col" }, each)),
  );
  return h(
    "div",
    null,
    chart.element,
    h("p", { class: "soft small" }, "Bars: the share that did it, by tenths of the audience. Line: what was promised."),
    h(
      "details",
      { class: "tenths" },
      h("summary", null, "The tenths as a table"),
      h("table", null, h("thead", null, head), h("tbody", null, rows)),
    ),
  );
}

function effect(found) {
  const side = (name, { users: many, rate }) => `${percent(rate)} of ${users(many)} ${name}`;
  const said = `${side("exported", found.treated)}, ${side("held out", found.holdout)}: a difference of ${percent(found.difference)} (${percent(found.low)} to ${percent(found.high)}).`;
  return h("p", null, said, !found.enough && h("span", { class: "soft" }, " Too few users were held out to tell."));
}
