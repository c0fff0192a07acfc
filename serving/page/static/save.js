// Keeping what was asked as an audience with a name.

import { call } from "./api.js";
import { h } from "./dom.js";
import { tried } from "./told.js";

const WAIT_SECONDS = 1;

// `asked` gives the question to keep.
export function saveForm(asked) {
  const name = h("input", { id: "save-name", required: true, maxlength: 200, autocomplete: "off" });
  const holdout = h("input", {
    id: "save-holdout",
    type: "number",
    min: 0,
    max: 50,
    step: 1,
    value: 0,
    required: true,
    "aria-describedby": "holdout-help",
  });
  const button = h("button", { class: "primary" }, "Save the audience");
  const problem = h("div");
  const save = () => create({ ...asked(), name: name.value, holdout_share: Number(holdout.value) / 100 });
  return h(
    "form",
    { class: "panel save", onsubmit: tried(save, { problem, button }), "aria-labelledby": "save-title" },
    h("h2", { id: "save-title" }, "Save and export"),
    h(
      "div",
      { class: "fields" },
      h("div", { class: "field grow" }, h("label", { for: "save-name" }, "Name"), name),
      h("div", { class: "field" }, h("label", { for: "save-holdout" }, "Hold-out, %"), holdout),
    ),
    h(
      "p",
      { class: "soft small", id: "holdout-help" },
      "Users held out are in no export: what they do shows what would have happened without you.",
    ),
    problem,
    h("p", null, button),
  );
}

// Makes it, and opens its page, where progress is shown.
export async function create(body) {
  const made = await call("POST", "v1/audiences", { body, query: { wait_seconds: WAIT_SECONDS } });
  location.hash = `#/audiences/${made.id}`;
}
