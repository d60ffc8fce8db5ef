import { h } from "./dom.js";

/**
 * @typedef {object} Field one thing to fill in
 * @property {string} name of the member in the payload
 * @property {string} label
 * @property {"text" | "number" | "password" | "textarea" | "select" | "check"} [type]
 * @property {string | number | boolean} [value] what it holds at first
 * @property {readonly (string | [string, string])[]} [options] of a select: values, or values with their labels
 * @property {readonly string[]} [proposals] of a text
 * @property {boolean} [required]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [maxLength]
 * @property {string} [hint]
 * @property {string} [placeholder]
 * @property {boolean} [more] shown under "More options"
 */

/**
 * A modal dialog. The browser keeps the focus inside, closes it with Escape, and gives the focus back.
 * @param {object} parts
 * @param {string} parts.title
 * @param {string} [parts.text]
 * @param {(Node | string)[]} parts.content
 * @param {(HTMLElement)[]} parts.footer
 * @param {boolean} [parts.wide]
 * @param {(event: SubmitEvent) => void} [parts.onsubmit]
 */
export function openDialog({ title, text, content, footer, wide, onsubmit }) {
  const header = h("header", null, h("h2", { id: "dialog-title", text: title }), text ? h("p", { text }) : null);
  const body = h("div", { class: "content" }, content);
  const end = h("footer", null, footer);
  const inner = onsubmit ? [h("form", { novalidate: true, autocomplete: "off", onsubmit }, header, body, end)] : [header, body, end];
  const dialog = h("dialog", { class: wide ? "wide" : "", "aria-labelledby": "dialog-title" }, inner);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask for values; resolves with them, or with null when the user gives up. What is left empty is absent.
 * @param {object} form
 * @param {string} form.title
 * @param {string} [form.text]
 * @param {readonly Field[]} form.fields
 * @param {string} form.submit label of the button that does it
 * @param {boolean} [form.danger]
 * @returns {Promise<Record<string, any> | null>}
 */
export function askForm({ title, text, fields, submit, danger }) {
  return new Promise((resolve) => {
    /** @type {Record<string, any> | null} */
    let result = null;
    const inputs = fields.map((field) => fieldInput(field));
    const plain = inputs.filter(({ field }) => !field.more).map(({ element }) => element);
    const more = inputs.filter(({ field }) => field.more).map(({ element }) => element);
    const dialog = openDialog({
      title,
      text,
      content: [...plain, ...(more.length ? [h("details", { class: "more" }, h("summary", { text: "More options" }), h("div", null, more))] : [])],
      footer: [
        h("button", { type: "button", text: "Cancel", onclick: () => dialog.close() }),
        h("button", { type: "submit", class: danger ? "primary danger" : "primary", text: submit }),
      ],
      onsubmit: (event) => {
        event.preventDefault();
        const wrong = inputs.filter(({ check }) => !check());
        if (wrong.length) {
          wrong[0].element.closest("details")?.setAttribute("open", "");
          wrong[0].control.focus();
          return;
        }
        result = {};
        for (const { field, read } of inputs) {
          const value = read();
          if (value !== undefined) result[field.name] = value;
        }
        dialog.close();
      },
    });
    dialog.addEventListener("close", () => resolve(result));
    const first = inputs[0]?.control;
    if (first) {
      first.focus();
      if (first instanceof HTMLInputElement && first.type !== "checkbox") first.select();
    }
  });
}

let fieldNumber = 0;

/** @param {Field} field */
function fieldInput(field) {
  const id = `field-${++fieldNumber}`;
  const wrong = h("span", { class: "wrong hidden", id: `${id}-wrong`, role: "alert" });
  const hint = field.hint ? h("span", { class: "hint", id: `${id}-hint`, text: field.hint }) : null;
  const shared = { id, name: field.name, "aria-describedby": hint ? `${id}-wrong ${id}-hint` : `${id}-wrong`, "aria-required": field.required ? "true" : null };
  const type = field.type ?? "text";
  /** @type {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} */
  let control;
  if (type === "select") {
    control = h("select", shared, (field.options ?? []).map((option) => {
      const [value, label] = typeof option === "string" ? [option, option] : option;
      return h("option", { value, text: label });
    }));
    if (field.value !== undefined) control.value = String(field.value);
  } else if (type === "textarea") {
    control = h("textarea", { ...shared, spellcheck: "false", value: String(field.value ?? ""), placeholder: field.placeholder });
  } else if (type === "check") {
    control = h("input", { ...shared, type: "checkbox", checked: field.value === true });
  } else {
    control = h("input", {
      ...shared, type, spellcheck: "false", value: String(field.value ?? ""), min: field.min, max: field.max, maxlength: field.maxLength,
      placeholder: field.placeholder, autocomplete: type === "password" ? "new-password" : "off",
      list: field.proposals?.length ? `${id}-list` : null,
    });
  }
  const label = h("label", { for: id, text: field.label });
  const list = field.proposals?.length ? h("datalist", { id: `${id}-list` }, field.proposals.map((value) => h("option", { value }))) : null;
  const element = type === "check"
    ? h("div", { class: "field check" }, control, label, hint, wrong)
    : h("div", { class: "field" }, label, control, list, wrong, hint);

  const complaint = () => {
    const text = control.value.trim();
    if (field.required && type !== "check" && text === "") return "Fill this in.";
    if (type === "number" && (text !== "" || control instanceof HTMLInputElement && control.validity.badInput)) {
      const value = Number(text);
      if (!Number.isInteger(value) || text === "") return "A whole number is wanted.";
      if (field.min !== undefined && value < field.min) return `At least ${field.min}.`;
      if (field.max !== undefined && value > field.max) return `At most ${field.max}.`;
    }
    return "";
  };
  const check = () => {
    const text = complaint();
    wrong.textContent = text;
    wrong.classList.toggle("hidden", text === "");
    control.setAttribute("aria-invalid", String(text !== ""));
    return text === "";
  };
  control.addEventListener("input", () => {
    if (control.getAttribute("aria-invalid") === "true") check();
  });
  const read = () => {
    if (control instanceof HTMLInputElement && type === "check") return control.checked;
    const text = type === "password" || type === "textarea" ? control.value : control.value.trim();
    if (text === "") return undefined;
    return type === "number" ? Number(text) : text;
  };
  return { field, element, control, check, read };
}
