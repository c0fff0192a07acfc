// From a file of users to an audience of users like them.

import { call } from "./api.js";
import { $, h, show } from "./dom.js";
import { create } from "./save.js";
import { problemBox } from "./told.js";
import { count, users } from "./words.js";

export class Seeds {
  constructor() {
    this.found = null;
    $("seeds-file").addEventListener("change", (event) => this.read(event.target.files[0]));
    $("seeds-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.make();
    });
    const drop = $("drop");
    for (const kind of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", kind === "dragover");
        if (kind === "drop") this.read(event.dataTransfer.files[0]);
      });
    }
  }

  async read(file) {
    this.found = null;
    $("seeds-make").disabled = true;
    show($("seeds-read"));
    show($("seeds-problem"));
    if (!file) return;
    show($("seeds-read"), h("p", { class: "soft" }, `Reading ${file.name} …`));
    try {
      this.found = await call("POST", "v1/seeds:parse", { body: file, type: file.type || "application/octet-stream" });
      if (!$("seeds-name").value) $("seeds-name").value = `Like ${file.name.replace(/\.[^.]+$/, "")}`;
      $("seeds-make").disabled = false;
      show($("seeds-read"), summary(this.found));
    } catch (error) {
      show($("seeds-read"), problemBox(error));
    }
  }

  async make() {
    const { positives, negatives } = this.found;
    const [button, state] = [$("seeds-make"), $("seeds-state")];
    button.disabled = true;
    state.textContent = "Looking at the list …";
    show($("seeds-problem"));
    try {
      await create({
        positives,
        negatives,
        demand: $("seeds-demand").value.trim(),
        size: Number($("seeds-size").value),
        name: $("seeds-name").value,
        holdout_share: Number($("seeds-holdout").value) / 100,
      });
    } catch (error) {
      show($("seeds-problem"), problemBox(error));
    } finally {
      button.disabled = false;
      state.textContent = "";
    }
  }
}

function summary(found) {
  const said = [
    `${users(found.positives.length)} who did it`,
    found.negatives.length ? `${users(found.negatives.length)} who did not` : "",
    found.duplicates ? `${count(found.duplicates)} repeated` : "",
    found.empty ? `${count(found.empty)} rows without an id` : "",
    found.left_out ? `${count(found.left_out)} beyond the most that are used` : "",
  ];
  return h("p", { class: "good" }, `${said.filter(Boolean).join(", ")}.`);
}
