import { chartsPage } from "./charts_page.js";
import { openDialog } from "./dialog.js";
import { h, iconButton, isTyping, setText } from "./dom.js";
import { fleetPage } from "./fleet_page.js";
import { FleetStore } from "./fleet_store.js";
import { History } from "./history.js";
import { Session } from "./session.js";
import { signIn } from "./sign_in.js";
import { stationPage } from "./station_page.js";

/**
 * @typedef {object} App what pages work with
 * @property {Session} session
 * @property {FleetStore} store
 * @property {History} history
 *
 * @typedef {object} Page
 * @property {string} title
 * @property {HTMLElement} element
 * @property {Record<string, () => void>} keys shortcuts of this page
 * @property {() => void} [shown] once it is in the document
 * @property {() => void} leave
 */

const session = new Session({ primary: true });
const store = new FleetStore(session);
const history = new History(session, store);
/** @type {App} */
const app = { session, store, history };
const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {Page | null} */
let page = null;

// -- the bar

const links = [["#/", "Fleet"], ["#/charts", "Charts"]].map(([href, label]) => h("a", { href, text: label }));
const linkWords = h("span", { class: "words" });
const linkState = h("span", { class: "link-state", role: "status" }, h("span", { class: "dot" }), linkWords);
const themeButton = iconButton("moon", "Dark theme (t)", () => setTheme(theme() === "dark" ? "light" : "dark", true));
/** @type {HTMLElement} */ (document.getElementById("bar")).append(
  h("a", { class: "brand", href: "#/", "aria-label": "Charging station simulator" }, h("img", { src: "favicon.svg", alt: "" }), h("span", { text: "Charging station simulator" })),
  h("nav", { "aria-label": "Pages" }, links),
  h("div", { class: "end" }, linkState, iconButton("help", "Keyboard shortcuts (?)", showHelp), themeButton));

history.on("look", () => {
  if (session.state === "open" && history.simulator) setText(linkWords, `Connected, version ${history.simulator.version}`);
});

// -- the link

const banner = /** @type {HTMLElement} */ (document.getElementById("banner"));
let lastOpen = 0;
/** Milliseconds without a connection after which the user is told: a reload or a short hiccup is not worth it. */
const BANNER_AFTER = 700;

function drawLink() {
  const { state } = session;
  if (state === "open") lastOpen = Date.now();
  linkState.firstElementChild?.setAttribute("class", `dot ${state === "open" ? "tone-good" : "hollow tone-warn"}`);
  setText(linkWords, state === "open" ? "Connected" : "Not connected");
  if (state === "open" || Date.now() - lastOpen < BANNER_AFTER) {
    banner.replaceChildren();
    if (state !== "open") setTimeout(drawLink, BANNER_AFTER);
    return;
  }
  if (state === "refused") {
    banner.replaceChildren("The simulator wants a user and a password.", h("button", { type: "button", class: "small", text: "Sign in", onclick: () => signIn(session) }));
    return;
  }
  if (!banner.querySelector("span")) {
    banner.replaceChildren(h("span", { text: "The simulator is not there. What you see is the last that was known; the page connects again by itself." }),
      h("button", { type: "button", class: "small", text: "Try now", onclick: () => session.connect() }));
  }
}
session.on("state", (state) => {
  drawLink();
  if (state === "refused") signIn(session);
});
setTimeout(drawLink, BANNER_AFTER);

// -- themes

function theme() {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

/**
 * @param {"light" | "dark"} name
 * @param {boolean} remember
 */
function setTheme(name, remember) {
  document.documentElement.dataset.theme = name;
  if (remember) {
    try {
      localStorage.setItem("theme", name);
    } catch {
      // storage may be forbidden: the choice lasts as long as the page
    }
  }
  const next = name === "dark" ? "light" : "dark";
  const fresh = iconButton(next === "dark" ? "moon" : "sun", `${next === "dark" ? "Dark" : "Light"} theme (t)`, () => {});
  themeButton.replaceChildren(...fresh.childNodes);
  themeButton.title = fresh.title;
  themeButton.setAttribute("aria-label", fresh.title);
  dispatchEvent(new Event("themechange"));
}
setTheme(theme(), false);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // as if nothing was chosen
  }
  if (chosen === null) setTheme(matches ? "dark" : "light", false);
});

// -- pages

function route() {
  const path = location.hash.replace(/^#/, "") || "/";
  page?.leave();
  const [, station] = /^\/stations\/([0-9a-f]+)$/.exec(path) ?? [];
  if (station !== undefined) page = stationPage(app, station);
  else if (path === "/charts") page = chartsPage(app);
  else page = fleetPage(app);
  document.title = `${page.title} – Charging station simulator`;
  main.replaceChildren(page.element);
  page.shown?.();
  for (const link of links) {
    const here = link.getAttribute("href") === (path === "/charts" ? "#/charts" : "#/") && station === undefined;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
});
route();

// -- keys

let afterG = 0;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping() || document.querySelector("dialog[open], .menu")) return;
  const { key } = event;
  if (Date.now() - afterG < 1000 && (key === "f" || key === "c")) {
    afterG = 0;
    location.hash = key === "c" ? "#/charts" : "#/";
  } else if (key === "g") afterG = Date.now();
  else if (key === "t") setTheme(theme() === "dark" ? "light" : "dark", true);
  else if (key === "?") showHelp();
  else if (page && key in page.keys) page.keys[key]();
  else return;
  event.preventDefault();
});

function showHelp() {
  /** @type {[string[], string][]} */
  const keys = [
    [["/"], "Search"], [["g", "f"], "Fleet"], [["g", "c"], "Charts"], [["n"], "Add stations"], [["j"], "Go to the table"],
    [["↑", "↓"], "Move in a table; with Shift choose a range"], [["Space"], "Choose the row"], [["Ctrl", "A"], "Choose all rows"], [["Enter"], "Open the station"],
    [["Esc"], "Choose none; on a station: back to the fleet"], [["p"], "On a station: pause the messages"], [["1"], "On a station: messages; 2: keys; 3: details"],
    [["t"], "Light or dark"], [["?"], "This list"],
  ];
  const dialog = openDialog({
    title: "Keyboard shortcuts",
    content: [h("div", { class: "shortcuts" }, keys.flatMap(([names, does]) => [h("div", { class: "buttons" }, names.map((name) => h("kbd", { text: name }))), h("div", { text: does })]))],
    footer: [h("button", { type: "button", class: "primary", text: "Close", onclick: () => dialog.close() })],
  });
}
