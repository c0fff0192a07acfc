// What goes wrong, what is noteworthy and what is not there yet, for people to read.

import { h, show } from "./dom.js";
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

// What a form or button does: `act`, with the button still until it is done, and what goes wrong shown in its place.
export function tried(act, { problem, button = null }) {
  return async (event) => {
    event.preventDefault();
    if (button) button.disabled = true;
    show(problem);
    try {
      await act();
    } catch (error) {
      show(problem, problemBox(error));
    } finally {
      if (button) button.disabled = false;
    }
  };
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
