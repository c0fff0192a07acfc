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
  return listed([...audience.default_filters.map(fixedChip), ...filterChips(question, change)]);
}

// The question's own filters alone, for where there is no answer to show them with.
export function ownFilters(question, change) {
  return listed(filterChips(question, change));
}

function filterChips({ filters }, change) {
  return filters.map((each, at) => filterChip(filters, each, at, change));
}

function listed(chips) {
  return chips.length ? [h("h3", null, "Only users with"), h("ul", { class: "chips" }, chips)] : [];
}

function sentenceChip(all, sentence, at, change) {
  const lead = [at > 0 && sentence.joined, sentence.negated && "not"].filter(Boolean).join(" ");
  const others = all
    .filter((_, place) => place !== at)
    .map((each, place) => (place ? each : { ...each, joined: "and" }));
  const edits = [{ label: "Sentence", value: sentence.text, write: (each, text) => ({ ...each, text }) }];
  const replaced = (next) => change({ sentences: all.map((each, place) => (place === at ? next : each)) });
  const without = all.length > 1 && (() => change({ sentences: others }));
  return chip(sentence.text, lead, without, { edits, edited: sentence, replaced });
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
  const lead = at > 0 && condition.joined === "or" ? "or" : "";
  return chip(words, lead, without, { edits: fields(condition), edited: condition, replaced });
}

// The values of a condition that can be written anew; `write` gives one like it with another value.
function fields(condition) {
  const leaves = [
    ["topic", "About", (each, topic) => ({ ...each, topic })],
    ["value", "Is", (each, value) => ({ ...each, value })],
    ["comparison", "Number", (each, value) => ({ ...each, comparison: { ...each.comparison, value: Number(value) } })],
    ["count", "Times", (each, value) => ({ ...each, count: { ...each.count, value: Number(value) } })],
    ["amount", "Amount", (each, value) => ({ ...each, amount: { ...each.amount, value: Number(value) } })],
    ["window", "Days", (each, value) => ({ ...each, window: { within_days: Number(value) } })],
  ];
  return leaves
    .filter(([name]) => condition[name] && (name !== "window" || condition.window.within_days))
    .map(([name, label, write]) => ({
      label,
      value: condition[name].within_days ?? condition[name].value ?? condition[name],
      number: typeof condition[name] === "object",
      write,
    }));
}

function filterChip(all, filter, at, change) {
  return chip(filterWords(filter), "", () => change({ filters: all.filter((_, place) => place !== at) }));
}

const fixedChip = (filter) =>
  h("li", { class: "chip fixed" }, h("span", null, filterWords(filter)), h("span", { class: "soft small" }, "always"));

function filterWords(filter) {
  if (filter.any) return filter.any.map(filterWords).join(" or ");
  return `${filter.field.replaceAll("_", " ")} ${filter.op} ${[filter.value].flat().join(", ")}`;
}

function chip(words, lead, remove, editing = { edits: [] }) {
  const item = h("li", { class: "chip" });
  const text = editing.edits.length
    ? h(
        "button",
        {
          type: "button",
          class: "words",
          "aria-label": `Change: ${words}`,
          onclick: () => item.replaceChildren(editor(editing, () => restore())),
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

function editor({ edits, edited, replaced }, restore) {
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
    const changed = edits.map((edit, at) => [edit, inputs[at].value]).filter(([edit, value]) => value !== `${edit.value}`);
    if (changed.length) replaced(changed.reduce((each, [edit, value]) => edit.write(each, value), edited));
    else restore();
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
