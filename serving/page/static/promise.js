// What was promised of an audience, by what, and what counts.

import { h } from "./dom.js";
import { notes } from "./told.js";
import { count, dayOf, madeFrom, percent, sentence, users, windowOf } from "./words.js";

const SEEDS_SHOWN = 10;

export function promise(audience) {
  const { prediction } = audience;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "promise-title" },
    h("h2", { id: "promise-title" }, "The promise"),
    h(
      "p",
      { class: "headline" },
      "Of ",
      h("b", null, count(audience.size)),
      ` ${audience.size === 1 ? "user" : "users"}, about `,
      h("b", { class: "accent" }, count(prediction.expected)),
      ` will within ${audience.horizon_days} days.`,
    ),
    h(
      "p",
      { class: "soft" },
      `${audience.size ? `That is ${percent(prediction.expected / audience.size)}; with` : "With"} ${percent(prediction.level)} certainty between ${count(prediction.low)} and ${count(prediction.high)}. Window: ${windowOf(audience)}.`,
    ),
    h("p", null, audience.demand ? h("q", null, audience.demand) : `Made from ${madeFrom(audience)}.`),
    h("p", { class: "soft small" }, `Made on ${dayOf(audience.created_at)}. ${sentence(prediction.method)}`),
  );
}

export function diagnostics(audience) {
  const found = audience.diagnostics;
  if (audience.kind !== "lookalike" || !found) return null;
  const strange = found.users.slice(0, SEEDS_SHOWN);
  return h(
    "section",
    { class: "panel", id: "diagnostics" },
    h("h2", null, "The list it was made from"),
    h(
      "p",
      null,
      `${users(found.figures.positives ?? 0)} who did it${found.figures.negatives ? `, ${users(found.figures.negatives)} who did not` : ""}.`,
    ),
    found.findings.length
      ? notes(found.findings.map((each) => each.message))
      : h("p", { class: "good" }, "Nothing is odd about it."),
    strange.length > 0 &&
      h(
        "ul",
        { class: "plain small" },
        strange.map((each) => h("li", null, h("code", null, each.user_id), ` ${each.note}`)),
      ),
  );
}

export function counts({ counts: found }) {
  if (!found) return null;
  const clauses = found.groups.flat();
  const list = clauses.map((clause) => {
    const texts = clause.needs.flatMap((need) => need.texts);
    return h(
      "li",
      null,
      `who ${clause.said}: ${count(texts.length)} ${texts.length === 1 ? "text" : "texts"} count`,
      h(
        "details",
        null,
        h("summary", null, "Show them"),
        h("p", { class: "small soft" }, texts.slice(0, 50).join("; "), texts.length > 50 && " …"),
      ),
    );
  });
  return h(
    "section",
    { class: "panel" },
    h("h2", null, "What counts as having done it"),
    clauses.length ? h("ul", { class: "plain" }, list) : h("p", null, sentence(found.reason)),
  );
}
