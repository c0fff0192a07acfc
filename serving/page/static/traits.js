// What the users of an audience did more than others.

import { h, show } from "./dom.js";
import { isAbort, problemBox } from "./told.js";
import { percent, users } from "./words.js";

const SETTLED_MS = 500;

// Those of the first so many users, asked for once nobody moves the size any more; `ask` previews a size.
export class TraitsOfSize {
  constructor(ask) {
    this.ask = ask;
    this.known = new Map();
    this.element = h("div");
  }

  // A new question.
  begin(answer) {
    this.stop();
    this.known.clear();
    show(this.element);
    this.learn(answer);
  }

  learn({ size, audience }) {
    this.known.set(size, audience.why);
  }

  choose(size) {
    this.stop();
    if (this.known.has(size)) this.draw(size);
    else this.timer = setTimeout(() => this.look(size), SETTLED_MS);
  }

  stop() {
    clearTimeout(this.timer);
    this.running?.abort();
  }

  draw(size) {
    show(this.element, traits(this.known.get(size), `the first ${users(size)}`));
  }

  async look(size) {
    this.running = new AbortController();
    try {
      const { audience } = await this.ask({ size }, this.running.signal);
      this.known.set(size, audience.why);
      this.draw(size);
    } catch (error) {
      if (!isAbort(error)) show(this.element, problemBox(error));
    }
  }
}

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
