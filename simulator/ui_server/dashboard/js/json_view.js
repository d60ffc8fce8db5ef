import { h } from "./dom.js";

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)/g;

/**
 * JSON that is easy to read: indented and coloured. What is no JSON is shown as it is.
 * @param {string} text
 */
export function jsonView(text) {
  const view = h("pre", { class: "json", tabindex: "0", "aria-label": "Content of the message" });
  const pretty = prettyJson(text);
  let at = 0;
  for (const match of pretty.matchAll(TOKEN)) {
    const [all, string, colon, number] = match;
    view.append(pretty.slice(at, match.index));
    if (string !== undefined) {
      view.append(h("span", { class: colon ? "key" : "string", text: string }), colon ?? "");
    } else view.append(h("span", { class: number !== undefined ? "number" : "word", text: all }));
    at = match.index + all.length;
  }
  view.append(pretty.slice(at));
  return view;
}

const PART = /"(?:[^"\\]|\\.)*"|[^\s[\]{},:"]+|[[\]{},:]/g;

/**
 * Indented JSON. Numbers stay as they were written: 1.0 is not 1 to everybody.
 * @param {string} text
 */
export function prettyJson(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let pretty = "";
  let depth = 0;
  let opened = false;
  const newLine = () => `\n${"  ".repeat(depth)}`;
  for (const [part] of text.matchAll(PART)) {
    if (part === "]" || part === "}") {
      depth -= 1;
      pretty += opened ? part : newLine() + part;
      opened = false;
      continue;
    }
    if (opened) pretty += newLine();
    opened = part === "[" || part === "{";
    if (opened) depth += 1;
    pretty += part === "," ? part + newLine() : part === ":" ? ": " : part;
  }
  return pretty;
}
