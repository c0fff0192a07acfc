// Users in order, with their chance and why.

import { h } from "./dom.js";
import { dayOf, percent } from "./words.js";

export function people(members, { startsAt = 1, why = true } = {}) {
  if (!members.length) return h("p", { class: "soft" }, "Your key shows no single users.");
  const head = ["#", "User", "Chance", why && "What moved the score"].filter(Boolean);
  return h(
    "table",
    { class: "people", role: "table" },
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row" },
        head.map((each) => h("th", { scope: "col", role: "columnheader" }, each)),
      ),
    ),
    h(
      "tbody",
      { role: "rowgroup" },
      members.map((member, at) => row(member, startsAt + at, why)),
    ),
  );
}

function row(member, rank, why) {
  return h(
    "tr",
    { role: "row" },
    h("td", { role: "cell", class: "rank" }, String(member.rank ?? rank)),
    h("th", { role: "rowheader", scope: "row" }, member.user_id),
    h(
      "td",
      { role: "cell", class: "chance" },
      h("meter", { min: 0, max: 1, value: member.probability, "aria-hidden": "true" }),
      percent(member.probability),
    ),
    why && h("td", { role: "cell" }, reasons(member.reasons)),
  );
}

function reasons(found) {
  if (!found?.length) return h("span", { class: "soft" }, "nothing that the history tells apart");
  return h(
    "ul",
    { class: "reasons" },
    found.map((reason) => h("li", null, reason.text, " ", h("span", { class: "soft small" }, about(reason)))),
  );
}

function about(reason) {
  const often = reason.count > 1 ? `${reason.count} times` : reason.count === 1 ? "once" : "";
  const last = reason.last_day ? `${reason.count > 1 ? "last on " : ""}${dayOf(reason.last_day)}` : "";
  const moved = reason.probability_effect ? `+${points(reason.probability_effect)}` : "";
  return [often, last, moved].filter(Boolean).join(" · ");
}

const points = (share) => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} points`;
