// How many users, how likely, how many will: three ways to set one size.

import { Chart } from "./chart.js";
import { Curve } from "./curve.js";
import { h, show } from "./dom.js";
import { isAbort, problemBox } from "./told.js";
import { count, percent, users } from "./words.js";

const USUAL = 100;

export class Figures {
  constructor({ chosen, refine, further }) {
    Object.assign(this, { chosen, refine, further });
    this.wanted = USUAL;
    this.chart = new Chart();
    this.told = h("div", { class: "told", "aria-live": "polite", "aria-atomic": "true" });
    this.slider = h("input", {
      type: "range",
      id: "size-slider",
      min: 1,
      step: 1,
      "aria-label": "How many users",
      oninput: () => this.slid(),
    });
    this.size_ = h("input", {
      type: "number",
      id: "size",
      min: 1,
      step: 1,
      inputmode: "numeric",
      onchange: () => this.sized(),
    });
    this.least = h("input", {
      type: "number",
      id: "least",
      min: 0,
      max: 100,
      step: "any",
      inputmode: "decimal",
      onchange: () => this.bounded(),
    });
    this.more = h("button", { type: "button", class: "link", onclick: () => this.further(0) }, "Look further down");
    this.problem = h("div");
    this.element = h("section", { class: "panel", "aria-labelledby": "figures-title" });
  }

  get size() {
    return Math.min(this.wanted, this.curve?.end ?? 0);
  }

  // Fewer users than were asked for are all that there are.
  update(answer, offer, asked, most) {
    this.answer = answer;
    this.offer = offer;
    this.curve = new Curve(answer.curve);
    show(this.problem);
    if (!answer.size) {
      show(
        this.element,
        h("h2", { id: "figures-title" }, "How many will"),
        h(
          "p",
          null,
          answer.eligible ? "No user is that likely to do it." : "No user meets the conditions. Remove one to go on.",
        ),
      );
      return;
    }
    this.slider.max = this.curve.end;
    this.size_.max = answer.size < asked ? answer.size : Math.min(answer.eligible, most);
    this.more.hidden = answer.size >= Number(this.size_.max);
    show(
      this.element,
      h("h2", { id: "figures-title" }, "How many will"),
      this.told,
      this.chart.element,
      h("div", { class: "slider" }, this.slider),
      h(
        "p",
        { class: "soft small" },
        "Bars: the chance in each tenth of the ranking. Line: the share of the first so many that will.",
      ),
      h(
        "div",
        { class: "fields" },
        h("div", { class: "field" }, h("label", { for: "size" }, "Users"), this.size_),
        h("div", { class: "field" }, h("label", { for: "least" }, "Chance of at least, %"), this.least),
        this.more,
      ),
      this.problem,
      tenths(answer),
    );
    const line = answer.curve.map((point) => ({ size: point.size, value: point.expected / point.size }));
    this.chart.update(
      answer.deciles.map((each) => ({ users: each.users, value: each.mean_probability })),
      line,
      this.size,
    );
    this.tell();
  }

  slid() {
    this.wanted = this.curve.snapped(Number(this.slider.value), this.size);
    this.tell();
  }

  // A size between two of the curve's is told from its neighbours at once, then exactly.
  async sized() {
    const size = Math.round(Number(this.size_.value));
    if (!(size >= 1)) return this.tell();
    this.wanted = Math.min(size, Number(this.size_.max));
    if (this.wanted > this.curve.end) return this.further(this.wanted);
    this.tell();
    if (!this.curve.isExact(this.wanted)) await this.exactly({ size: this.wanted });
  }

  async bounded() {
    const least = Number(this.least.value) / 100;
    if (!this.least.value || !(least >= 0 && least <= 1)) return this.tell();
    await this.exactly({ size: Number(this.size_.max), minimum_probability: least });
  }

  async exactly(body) {
    try {
      const found = await this.refine(body);
      if (!found.size)
        throw {
          code: "nobody",
          detail: `nobody is that likely: the first user's chance is ${percent(this.curve.at(1).probability)}`,
        };
      this.wanted = found.size;
      show(this.problem);
      if (found.size > this.curve.end) return this.further(found.size);
      this.curve.add(found.curve.at(-1));
      this.tell();
    } catch (error) {
      if (!isAbort(error)) show(this.problem, problemBox(error));
    }
  }

  tell() {
    const { size } = this;
    const point = this.curve.at(size);
    const { expected } = this.answer.audience;
    const days = this.offer.horizon_days;
    const said = `${users(size)}, of whom about ${count(point.expected)} will`;
    this.slider.value = size;
    this.slider.setAttribute("aria-valuetext", said);
    this.size_.value = size;
    this.least.value = Number((point.probability * 100).toPrecision(3));
    show(
      this.told,
      h(
        "p",
        { class: "headline" },
        "Of the likeliest ",
        h("b", null, count(size)),
        size === 1 ? " user, about " : " users, about ",
        h("b", { class: "accent" }, count(point.expected)),
        days ? ` will within ${days} days.` : " will.",
      ),
      h(
        "p",
        { class: "soft" },
        `That is ${percent(point.expected / size)}; with ${percent(0.8)} certainty between ${count(point.low)} and ${count(point.high)} of them. Each has a chance of ${percent(point.probability)} or more.`,
      ),
      expected &&
        h(
          "p",
          { class: "soft" },
          `Of all ${users(this.offer.users)}, about ${count(expected.size)} will (${count(expected.low)} to ${count(expected.high)}).`,
        ),
      !expected &&
        this.answer.eligible < this.offer.users &&
        h(
          "p",
          { class: "soft" },
          `${this.answer.eligible_is_upper_bound ? "At most " : ""}${users(this.answer.eligible)} of ${count(this.offer.users)} meet the conditions.`,
        ),
    );
    this.chart.choose(size);
    this.chosen(size);
  }
}

function tenths(answer) {
  let start = 0;
  const rows = answer.deciles.map((each) => {
    const from = start + 1;
    start += each.users;
    return h(
      "tr",
      null,
      h("th", { scope: "row" }, each.users > 1 ? `${count(from)} – ${count(start)}` : count(from)),
      h("td", null, percent(each.mean_probability)),
      h("td", null, count(each.expected)),
    );
  });
  const head = h(
    "tr",
    null,
    ["Users", "Mean chance", "Will do it"].map((each) => h("th", { scope: "col" }, each)),
  );
  return h(
    "details",
    { class: "tenths" },
    h("summary", null, "The tenths as a table"),
    h("table", null, h("thead", null, head), h("tbody", null, rows)),
  );
}
