import { copyText, h, icon, iconButton, setText } from "./dom.js";
import * as format from "./format.js";
import { Grid } from "./grid.js";
import { jsonView, prettyJson } from "./json_view.js";
import { searchField } from "./parts.js";
import * as toasts from "./toasts.js";

/** @typedef {import("./protocol.js").Message} Message */

/** Messages that are kept. */
const MOST = 3_000;

/** Where a frame's content begins: the payload of a CALL and its answers. @param {Message} message */
function payloadOf({ text, kind }) {
  try {
    const frame = JSON.parse(text);
    if (kind === "call") return JSON.stringify(frame[3] ?? {});
    if (kind === "result") return JSON.stringify(frame[2] ?? {});
    if (kind === "error") return `${frame[2]}${frame[3] ? `: ${frame[3]}` : ""}`;
  } catch {
    // shown as it came
  }
  return text;
}

/** The OCPP messages of a station as they pass, newest first. */
export class MessagesTab {
  constructor() {
    /** @type {Message[]} oldest first */
    this.messages = [];
    /** @type {Message[]} that came while paused */
    this.held = [];
    this.paused = false;
    /** @type {Map<string, number>} seconds, by direction and id of the CALL */
    this.asked = new Map();
    /** @type {Map<number, number>} milliseconds that an answer took, by its number */
    this.took = new Map();
    /** @type {Map<number, string>} content, by number */
    this.contents = new Map();
    this.wanted = "";
    /** @type {Message | null} */
    this.open = null;

    const search = searchField("Search messages", (text) => {
      this.wanted = text.trim().toLowerCase();
      this.refresh();
    });
    this.action = h("select", { "aria-label": "Action", onchange: () => this.refresh() }, h("option", { value: "", text: "All actions" }));
    this.direction = h("select", { "aria-label": "Direction", onchange: () => this.refresh() },
      h("option", { value: "", text: "Both ways" }), h("option", { value: "sent", text: "Sent" }), h("option", { value: "received", text: "Received" }));
    this.pauseButton = h("button", { type: "button", class: "small", "aria-pressed": "false", title: "Pause (p)", onclick: () => this.pause(!this.paused) }, icon("pause"), h("span", { text: "Pause" }));
    this.detail = h("div", { class: "detail hidden", role: "region", "aria-label": "The message" });
    /** @type {Grid<Message>} */
    this.grid = new Grid({
      label: "OCPP messages",
      rowHeight: 27,
      empty: "No message yet.",
      idOf: ({ sequence }) => String(sequence),
      onmove: (message) => this.show(message),
      columns: [
        { name: "time", label: "Time", width: "104px", draw: (cell, { time }) => {
          cell.className = "message-time";
          setText(cell, format.clock(time * 1000, true));
        } },
        { name: "way", label: "", width: "28px", draw: (cell, { direction, kind }) => {
          const mark = `${direction}${kind}`;
          if (cell.dataset.mark === mark) return;
          cell.dataset.mark = mark;
          cell.title = direction === "sent" ? "Sent by the station" : "Received by the station";
          cell.className = kind === "error" ? "tone-bad" : direction === "sent" ? "tone-good" : "tone-info";
          cell.replaceChildren(icon(direction === "sent" ? "out" : "in"), h("span", { class: "sr-only", text: direction }));
        } },
        { name: "action", label: "Action", width: "minmax(120px, 190px)", align: "clip", draw: (cell, { action, kind }) => setText(cell, action ?? (kind === "other" ? "–" : "answer")) },
        { name: "kind", label: "Kind", width: "64px", draw: (cell, { kind }) => {
          cell.className = kind === "error" ? "tone-bad" : "quiet";
          setText(cell, kind);
        } },
        { name: "took", label: "After", width: "68px", align: "right", draw: (cell, { sequence }) => {
          const took = this.took.get(sequence);
          setText(cell, took === undefined ? "" : format.milliseconds(took));
        } },
        { name: "text", label: "Content", width: "minmax(120px, 1fr)", align: "clip", draw: (cell, message) => {
          cell.className = "clip message-text";
          setText(cell, this.contentOf(message).slice(0, 300));
        } },
      ],
    });
    this.grid.element.classList.add("flat");
    this.element = h("div", { class: "tab", role: "tabpanel", "aria-label": "Messages" },
      h("div", { class: "tools" }, search.element(icon("search")), this.action, this.direction, this.pauseButton,
        iconButton("copy", "Copy all shown, one frame in a line", () => void this.copy(this.grid.items.map(({ text }) => text).reverse().join("\n"), format.plural(this.grid.items.length, "message"))),
        iconButton("clear", "Clear", () => this.clear())),
      this.grid.element, this.detail);
    this.search = search.input;
  }

  destroy() {
    this.grid.destroy();
  }

  /** @param {Message} message */
  contentOf(message) {
    let content = this.contents.get(message.sequence);
    if (content === undefined) this.contents.set(message.sequence, content = payloadOf(message));
    return content;
  }

  /**
   * Begin anew with what the simulator still knows.
   * @param {Message[]} messages
   */
  reset(messages) {
    this.messages = [];
    this.held = [];
    this.asked.clear();
    this.took.clear();
    this.contents.clear();
    this.add(messages);
    this.refresh();
  }

  clear() {
    this.messages = [];
    this.close();
    this.refresh();
  }

  /** @param {Message[]} messages */
  add(messages) {
    if (this.paused) {
      this.held.push(...messages);
      this.held.splice(0, this.held.length - MOST);
      this.drawPause();
      return;
    }
    const last = this.messages.at(-1)?.sequence ?? 0;
    const fresh = messages.filter(({ sequence }) => sequence > last);
    if (fresh.length === 0) return;
    for (const message of fresh) this.pair(message);
    this.messages.push(...fresh);
    for (const gone of this.messages.splice(0, this.messages.length - MOST)) {
      this.took.delete(gone.sequence);
      this.contents.delete(gone.sequence);
    }
    this.refresh();
  }

  /** How long the answer to a CALL took. @param {Message} message */
  pair({ kind, direction, messageId, time, sequence }) {
    if (messageId === undefined) return;
    if (kind === "call") {
      this.asked.set(direction + messageId, time);
      if (this.asked.size > MOST) this.asked.delete(/** @type {string} */ (this.asked.keys().next().value));
      return;
    }
    const key = (direction === "sent" ? "received" : "sent") + messageId;
    const asked = this.asked.get(key);
    if (asked !== undefined) this.took.set(sequence, (time - asked) * 1000);
    this.asked.delete(key);
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    this.drawPause();
    if (!paused) {
      const held = this.held;
      this.held = [];
      this.add(held);
    }
  }

  drawPause() {
    this.pauseButton.setAttribute("aria-pressed", String(this.paused));
    const label = this.paused ? `Go on${this.held.length ? ` (${this.held.length} new)` : ""}` : "Pause";
    this.pauseButton.replaceChildren(icon(this.paused ? "play" : "pause"), h("span", { text: label }));
  }

  refresh() {
    this.drawActions();
    const [action, direction] = [this.action.value, this.direction.value];
    const shown = this.messages.filter((message) => (action === "" || message.action === action) && (direction === "" || message.direction === direction)
      && (this.wanted === "" || message.text.toLowerCase().includes(this.wanted) || (message.action ?? "").toLowerCase().includes(this.wanted))).reverse();
    // Whoever has scrolled down reads: the rows stay where they are while new ones come above.
    const { body, items, rowHeight } = this.grid;
    const top = body.scrollTop;
    const first = items[0];
    this.grid.setItems(shown);
    if (top > rowHeight && first !== undefined) {
      const moved = shown.indexOf(first);
      if (moved > 0) body.scrollTop = top + moved * rowHeight;
    }
  }

  drawActions() {
    const known = new Set([...this.action.options].map(({ value }) => value));
    const names = new Set(this.messages.map(({ action }) => action ?? ""));
    for (const name of names) if (!known.has(name)) known.add(name);
    if (known.size === this.action.options.length) return;
    const chosen = this.action.value;
    this.action.replaceChildren(h("option", { value: "", text: "All actions" }),
      ...[...known].filter(Boolean).sort().map((name) => h("option", { value: name, text: name })));
    this.action.value = chosen;
  }

  /** @param {Message} message */
  show(message) {
    if (this.open === message) return;
    this.open = message;
    const took = this.took.get(message.sequence);
    const facts = [format.clock(message.time * 1000, true), message.direction, message.kind, took === undefined ? "" : `after ${format.milliseconds(took)}`, message.messageId ?? ""];
    this.detail.replaceChildren(
      h("div", { class: "head" }, h("strong", { text: message.action ?? "Message" }), h("span", { class: "quiet number", text: facts.filter(Boolean).join("  ·  ") }),
        h("div", { class: "end" },
          h("button", { type: "button", class: "plain small", onclick: () => void this.copy(prettyJson(message.text), "Message") }, icon("copy"), "Copy"),
          iconButton("close", "Close the message", () => this.close()))),
      jsonView(message.text));
    this.detail.classList.remove("hidden");
  }

  close() {
    this.open = null;
    this.detail.classList.add("hidden");
  }

  /** @param {string} text @param {string} what */
  async copy(text, what) {
    if (await copyText(text)) toasts.success(`${what} copied`);
    else toasts.failure("Nothing was copied", "The browser does not allow it here.");
  }
}
