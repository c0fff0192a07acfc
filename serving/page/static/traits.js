// What the users of an audience did more than others.

import { h } from "./dom.js";
import { percent } from "./words.js";

export function traits(found, of) {
  if (!found?.length) return null;
  const head = ["", "They", "Others"].map((each) =>
    h("th", { scope: "col" }, each || h("span", { class: "hidden" }, "What")),
  );
  const rows = ["text", "word"].flatMap((kind) =>
    found
      .filter((trait) => trait.kind === kind)
      .map((trait) =>
        h(
          "tr",
          null,
          h("th", { scope: "row" }, kind === "word" ? h("q", null, trait.said) : trait.said),
          h("td", null, percent(trait.members)),
          h("td", { class: "soft" }, percent(trait.others)),
        ),
      ),
  );
  return h(
    "section",
    { class: "panel traits", "aria-labelledby": "traits-title" },
    h("h2", { id: "traits-title" }, "What sets them apart"),
    h("p", { class: "soft small" }, `Things, and words, in the histories of ${of}, beyond chance.`),
    h("table", null, h("thead", null, h("tr", null, head)), h("tbody", null, rows)),
  );
}
