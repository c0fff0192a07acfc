// How a sentence was read, in chips that can be changed and removed; each change is a new question.

import { h } from "./dom.js";
import { notes } from "./told.js";

// `change(edited)` asks again, with `conditions`, `sentences` or `filters` in place of what was there.
export function reading(audience, question, columns, change) {
  const { rewritten, conditions } = audience;
  const plain = rewritten.sentences.length === 1 && rewritten.sentences[0].text === audience.demand;
  const shown = conditions
    .map((condition, at) => ({ condition, at }))
    .filter(({ condition }) => !plain || condition.kind === "profile" || condition.tense === "past");
  return [
    notes(rewritten.warnings),
    rewritten.not_understood && h("p", null, "Not understood: ", h("q", null, rewritten.not_understood)),
    h("h3", null, "The model was asked"),
    h(
      "ul",
      { class: "chips" },
      rewritten.sentences.map((each, at) => sentenceChip(rewritten.sentences, each, at, change)),
    ),
    shown.length > 0 && h("h3", null, "Users who"),
    shown.length > 0 &&
      h(
        "ul",
        { class: "chips" },
        shown.map(({ condition, at }) => conditionChip(conditions, condition, at, rewritten.conditions[at], change)),
      ),
    rewritten.history.length > 0 &&
      h(
        "ul",
        { class: "plain small soft" },
        rewritten.history.map((rule) =>
          h(
            "li",
            null,
            `Looked up in histories: who ${rule.rule}, by ${rule.all_texts} texts such as ${rule.texts.join("; ")}`,
          ),
        ),
      ),
    ...filters(audience, question, change),
    filterForm(question.filters, columns, change),
    (question.conditions || question.sentences) &&
      h(
        "p",
        null,
        h(
          "button",
          { type: "button", class: "link", onclick: () => change({ conditions: null, sentences: null }) },
          "Read the sentence afresh",
        ),
      ),
  ];
}

function filters(audience, question, change) {
  const own = question.filters.map((each, at) => filterChip(question.filters, each, at, change));
  const chips = [...audience.default_filters.map(fixedChip), ...own];
  return chips.length ? [h("h3", null, "Only users with"), h("ul", { class: "chips" }, chips)] : [];
}

function sentenceChip(all, sentence, at, change) {
  const lead = [at > 0 && sentence.joined, sentence.negated && "not"].filter(Boolean).join(" ");
  const others = all
    .filter((_, place) => place !== at)
    .map((each, place) => (place ? each : { ...each, joined: "and" }));
  const edit = [
    {
      label: "Sentence",
      value: sentence.text,
      write: (text) => change({ sentences: all.map((each, place) => (place === at ? { ...each, text } : each)) }),
    },
  ];
  return chip(sentence.text, lead, all.length > 1 && (() => change({ sentences: others })), edit);
}

function conditionChip(all, condition, at, words, change) {
  const replaced = (next) =>
    change({ conditions: all.map((each, place) => (place === at ? next : each)), sentences: null });
  const without = () =>
    change({
      conditions: all
        .filter((_, place) => place !== at)
        .map((each, place) => (place ? each : { ...each, joined: "and" })),
      sentences: null,
    });
  return chip(words, at > 0 && condition.joined === "or" ? "or" : "", without, fields(condition, replaced));
}

// The values of a condition that can be written anew.
function fields(condition, replaced) {
  const leaves = [
    ["topic", "About", (value) => ({ ...condition, topic: value })],
    ["value", "Is", (value) => ({ ...condition, value })],
    [
      "comparison",
      "Number",
      (value) => ({ ...condition, comparison: { ...condition.comparison, value: Number(value) } }),
    ],
    ["count", "Times", (value) => ({ ...condition, count: { ...condition.count, value: Number(value) } })],
    ["amount", "Amount", (value) => ({ ...condition, amount: { ...condition.amount, value: Number(value) } })],
    ["window", "Days", (value) => ({ ...condition, window: { within_days: Number(value) } })],
  ];
  return leaves
    .filter(([name]) => condition[name] && (name !== "window" || condition.window.within_days))
    .map(([name, label, write]) => ({
      label,
      value: condition[name].within_days ?? condition[name].value ?? condition[name],
      number: typeof condition[name] === "object",
      write: (value) => replaced(write(value)),
    }));
}

function filterChip(all, filter, at, change) {
  return chip(filterWords(filter), "", () => change({ filters: all.filter((_, place) => place !== at) }), []);
}

const fixedChip = (filter) =>
  h("li", { class: "chip fixed" }, h("span", null, filterWords(filter)), h("span", { class: "soft small" }, "always"));

function filterWords(filter) {
  if (filter.any) return filter.any.map(filterWords).join(" or ");
  return `${filter.field.replaceAll("_", " ")} ${filter.op} ${[filter.value].flat().join(", ")}`;
}

function chip(words, lead, remove, edits) {
  const item = h("li", { class: "chip" });
  const text = edits.length
    ? h(
        "button",
        {
          type: "button",
          class: "words",
          "aria-label": `Change: ${words}`,
          onclick: () => item.replaceChildren(editor(item, edits, () => restore())),
        },
        words,
      )
    : h("span", { class: "words" }, words);
  const whole = [
    lead && h("span", { class: "soft small" }, lead),
    text,
    remove && h("button", { type: "button", class: "remove", "aria-label": `Remove: ${words}`, onclick: remove }, "×"),
  ].filter(Boolean);
  const restore = () => {
    item.replaceChildren(...whole);
    text.focus();
  };
  item.append(...whole);
  return item;
}

function editor(item, edits, restore) {
  const inputs = edits.map((edit) =>
    h("input", {
      "aria-label": edit.label,
      value: edit.value,
      required: true,
      ...(edit.number ? { type: "number", step: "any" } : { maxlength: 1000 }),
    }),
  );
  const save = (event) => {
    event.preventDefault();
    const at = inputs.findIndex((input, place) => input.value !== String(edits[place].value));
    if (at < 0) restore();
    else edits[at].write(inputs[at].value);
  };
  const form = h(
    "form",
    { class: "editor", onsubmit: save, onkeydown: (event) => event.key === "Escape" && restore() },
    edits.map((edit, at) => h("label", null, h("span", { class: "small soft" }, edit.label), inputs[at])),
    h("button", null, "Ask again"),
  );
  queueMicrotask(() => inputs[0].focus());
  return form;
}

const OPERATORS = { number: [">=", ">", "<=", "<", "=", "!="], days: ["<=", "<", ">=", ">"], category: ["=", "!="] };

function filterForm(filters, columns, change) {
  if (!columns.length) return null;
  const column = h(
    "select",
    { "aria-label": "Column" },
    columns.map((each) => h("option", { value: each.name }, each.name.replaceAll("_", " "))),
  );
  const rest = h("span", { class: "rest" });
  let operator, value;
  const choose = () => {
    const { kind, values } = columns.find((each) => each.name === column.value);
    operator = h(
      "select",
      { "aria-label": "Comparison" },
      OPERATORS[kind].map((each) => h("option", null, each)),
    );
    value = values.length
      ? h(
          "select",
          { "aria-label": "Value" },
          values.map((each) => h("option", null, each)),
        )
      : h("input", {
          "aria-label": "Value",
          required: true,
          ...(kind === "category" ? {} : { type: "number", step: "any" }),
        });
    rest.replaceChildren(operator, value);
  };
  column.addEventListener("change", choose);
  choose();
  const add = (event) => {
    event.preventDefault();
    const isText = columns.find((each) => each.name === column.value).kind === "category";
    change({
      filters: [
        ...filters,
        { field: column.value, op: operator.value, value: isText ? value.value : Number(value.value) },
      ],
    });
  };
  return h(
    "details",
    { class: "add" },
    h("summary", null, "Add a filter"),
    h("form", { onsubmit: add }, column, rest, h("button", null, "Add")),
  );
}
