// The page: which view is shown, whose key is used, and whether the server can answer at all.

import { call, hasKey, useKey } from "./api.js";
import { Ask } from "./ask.js";
import { Audience } from "./audience.js";
import { $, h, show } from "./dom.js";
import { Saved } from "./saved.js";
import { Seeds } from "./seeds.js";
import { problemBox } from "./told.js";
import { dayOf, users } from "./words.js";

const NOT_READY = ["index_missing", "model_missing", "versions_disagree"];
const VIEWS = ["ask", "seeds", "saved", "audience"];
const TITLES = { ask: "Ask", seeds: "From a list", saved: "Saved audiences", audience: "Audience" };
const ask = new Ask();
const saved = new Saved();
const audience = new Audience();
new Seeds();

function route() {
  const [, view = "ask", id = ""] = location.hash.split("/");
  return view === "audiences" && id ? { view: "audience", id: decoded(id) } : { view: VIEWS.includes(view) ? view : "ask" };
}

// A link that was cut off names no audience, which the server says.
function decoded(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

async function open({ focus }) {
  const { view, id } = route();
  saved.close();
  audience.close();
  for (const each of VIEWS) $(`view-${each}`).hidden = each !== view;
  document.title = `${TITLES[view]} – FOUND`;
  for (const link of document.querySelectorAll("nav a")) {
    const isOpen = link.hash === `#/${view === "audience" ? "saved" : view}`;
    if (isOpen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (focus) $(`${view}-title`).focus();
  if (view === "saved") await saved.open();
  if (view === "audience") await audience.open(id);
}

async function start() {
  show($("unready"));
  try {
    const offer = await call("GET", "v1/examples");
    $("lake").textContent = `${users(offer.users)}, as of ${dayOf(offer.ds)}`;
    ask.open(offer);
  } catch (error) {
    if (error.status !== 401) show($("unready"), unready(error));
  }
}

function unready(problem) {
  const title = NOT_READY.includes(problem.code) && h("h2", null, "Nothing can be asked yet");
  return h(
    "div",
    { class: "panel" },
    title,
    problemBox(problem),
    h("p", null, h("button", { type: "button", onclick: () => start() }, "Try again")),
  );
}

document.addEventListener("key-wanted", ({ detail }) => {
  $("key").hidden = false;
  $("key-told").textContent = hasKey()
    ? detail.message
    : "This server answers to whom it knows. Your key stays in this tab.";
  $("key-field").focus();
});

$("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  useKey($("key-field").value.trim());
  $("key").hidden = true;
  $("key-field").value = "";
  await Promise.all([start(), open({ focus: true })]);
});

addEventListener("hashchange", () => open({ focus: true }));
await Promise.all([start(), open({ focus: false })]);
if (route().view === "ask" && $("key").hidden) $("demand").focus();
