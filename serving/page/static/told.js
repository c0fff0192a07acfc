// What goes wrong, what is noteworthy and what is not there yet, for people to read.

import { h } from "./dom.js";
import { sentence } from "./words.js";

export function problemBox(problem) {
  const title = problem.code ? sentence(problem.code.replaceAll("_", " ")).slice(0, -1) : problem.title;
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("strong", null, title || "Something went wrong"),
    h("p", null, ...marked(sentence(problem.detail || problem.message || "the page failed."))),
    problem.hint && h("p", { class: "hint" }, ...marked(problem.hint)),
  );
}

export function notes(warnings) {
  return warnings.length
    ? h(
        "ul",
        { class: "notes" },
        warnings.map((each) => h("li", null, sentence(each))),
      )
    : null;
}

// `words` between backticks are code.
export function marked(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", null, part) : part));
}

export const isAbort = (error) => error.name === "AbortError";
