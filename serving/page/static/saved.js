// The list of saved audiences; two of them can be compared.

import { call } from "./api.js";
import { $, h, show } from "./dom.js";
import { isAbort, problemBox } from "./told.js";
import { count, dayOf, madeFrom, percent, users, windowOf } from "./words.js";

const PAGE = 20;
const AGAIN_MS = 1_500;
export const UNFINISHED = ["queued", "running"];

export class Saved {
  constructor() {
    this.chosen = new Set();
  }

  async open() {
    this.close();
    this.running = new AbortController();
    this.list = [];
    this.cursor = null;
    this.chosen.clear();
    this.compared = null;
    show($("saved"), h("p", { class: "soft" }, "Loading …"));
    await this.page();
  }

  close() {
    clearTimeout(this.timer);
    this.running?.abort();
  }

  async page() {
    const { signal } = this.running;
    try {
      const query = { limit: PAGE, ...(this.cursor && { cursor: this.cursor }) };
      const found = await call("GET", "v1/audiences", { query, signal });
      this.list.push(...found.data);
      this.cursor = found.next_cursor;
      this.draw();
      this.later(signal);
    } catch (error) {
      if (!isAbort(error)) show($("saved"), problemBox(error));
    }
  }

  // Those that are being made are looked at again.
  later(signal) {
    if (!this.list.some((audience) => UNFINISHED.includes(audience.status))) return;
    this.timer = setTimeout(async () => {
      try {
        for (const [at, audience] of this.list.entries()) {
          if (UNFINISHED.includes(audience.status))
            this.list[at] = await call("GET", `v1/audiences/${audience.id}`, { signal });
        }
        this.draw();
        this.later(signal);
      } catch (error) {
        if (!isAbort(error)) show(this.compared, problemBox(error));
      }
    }, AGAIN_MS);
  }

  draw() {
    if (!this.list.length) {
      show(
        $("saved"),
        h(
          "div",
          { class: "empty" },
          h("p", null, "Nothing is saved yet."),
          h(
            "p",
            null,
            h("a", { href: "#/ask" }, "Ask for users"),
            " and save them, or start ",
            h("a", { href: "#/seeds" }, "from a list"),
            ".",
          ),
        ),
      );
      return;
    }
    const compared = (this.compared ??= h("div", { role: "status" }));
    this.button = h("button", { type: "button", onclick: () => this.compare() }, "Compare the two chosen");
    const head = ["", "Name", "State", "Users", "Expected", "Window", "What became of it"].map((each) =>
      h("th", { scope: "col", role: "columnheader" }, each || h("span", { class: "hidden" }, "Choose")),
    );
    const table = h(
      "table",
      { class: "list", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h(
        "tbody",
        { role: "rowgroup" },
        this.list.map((audience) => this.row(audience)),
      ),
    );
    const more = this.cursor && h("button", { type: "button", onclick: () => this.page() }, "Show more");
    show($("saved"), table, h("p", { class: "actions" }, this.button, more), compared);
    this.choose();
  }

  row(audience) {
    const ready = audience.status === "ready";
    const { prediction } = audience;
    const cell = (label, ...children) => h("td", { role: "cell", "data-label": label }, ...children);
    const choose = h("input", {
      type: "checkbox",
      disabled: !ready,
      checked: this.chosen.has(audience.id),
      "aria-label": `Compare ${audience.name}`,
      onchange: () => this.choose(audience.id, choose.checked),
    });
    return h(
      "tr",
      { role: "row" },
      cell("", choose),
      h(
        "th",
        { scope: "row", role: "rowheader" },
        h("a", { href: `#/audiences/${audience.id}` }, audience.name),
        h("span", { class: "soft small" }, audience.demand || `from ${madeFrom(audience)}`),
      ),
      cell("State", state(audience)),
      cell("Users", ready ? count(audience.size) : "–"),
      cell(
        "Expected",
        prediction ? `${count(prediction.expected)} (${count(prediction.low)} – ${count(prediction.high)})` : "–",
      ),
      cell("Window", windowOf(audience) || `made ${dayOf(audience.created_at)}`),
      cell("What became of it", outcome(audience)),
    );
  }

  choose(id, on) {
    if (id) this.chosen[on ? "add" : "delete"](id);
    this.button.disabled = this.chosen.size !== 2;
  }

  async compare() {
    try {
      const found = await call("POST", "v1/audiences:compare", { body: { audiences: [...this.chosen] } });
      const [one, other] = found.audiences;
      const [ofOne, ofOther] = found.shares ?? [];
      const known = [
        h(
          "p",
          { class: "headline" },
          h("b", { class: "accent" }, count(found.both ?? 0)),
          found.both === 1 ? " user is in both." : " users are in both.",
        ),
        h(
          "p",
          { class: "soft" },
          `That is ${percent(ofOne ?? 0)} of the ${users(one.size)} of “${one.name}” and ${percent(ofOther ?? 0)} of the ${users(other.size)} of “${other.name}”.`,
        ),
      ];
      const hidden = h("p", null, "The overlap, or what is outside it, is too small a group to be told.");
      show(
        this.compared,
        h("section", { class: "panel" }, h("h2", null, "Overlap"), ...(found.both === null ? [hidden] : known)),
      );
    } catch (error) {
      show(this.compared, problemBox(error));
    }
  }
}

export function state(audience) {
  if (!UNFINISHED.includes(audience.status)) return h("span", { class: `state-${audience.status}` }, audience.status);
  return h(
    "span",
    null,
    `${audience.status} `,
    h("progress", { max: 1, value: audience.progress, "aria-label": `Progress of ${audience.name}` }),
  );
}

export function outcome({ backtest, status }) {
  if (!backtest) return status === "ready" ? "not known yet" : "–";
  if (backtest.status !== "measured") return backtest.status;
  return `${count(backtest.realised.count)} did (${percent(backtest.realised.rate)})`;
}
