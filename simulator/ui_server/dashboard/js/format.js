/** Numbers and times for people. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** @param {number} value */
export const count = (value) => whole.format(value);

/**
 * A number with three digits that count.
 * @param {number} value
 */
export function short(value) {
  const size = Math.abs(value);
  if (size === 0 || size >= 100) return whole.format(value);
  return value.toFixed(size >= 10 ? 1 : 2);
}

/**
 * A quantity in W or Wh with the prefix that suits it.
 * @param {number} value
 * @param {"W" | "Wh"} unit
 * @returns {[string, string]}
 */
export function scaled(value, unit) {
  const size = Math.abs(value);
  if (size >= 1e6) return [short(value / 1e6), `M${unit}`];
  if (size >= 1e3) return [short(value / 1e3), `k${unit}`];
  return [whole.format(value), unit];
}

/** @param {number} value W */
export const power = (value) => scaled(value, "W").join(" ");

/** @param {number} value Wh */
export const energy = (value) => scaled(value, "Wh").join(" ");

/** @param {number | null | undefined} value ms */
export function milliseconds(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value >= 1000 ? `${short(value / 1000)} s` : `${value < 10 ? value.toFixed(1) : whole.format(value)} ms`;
}

/** @param {number} seconds */
export function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  return minutes ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${rest} s`;
}

/**
 * Time of day on this machine.
 * @param {number} ms since 1970
 * @param {boolean} [fractions]
 */
export function clock(ms, fractions = false) {
  const date = new Date(ms);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fractions ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/**
 * @param {number} number
 * @param {string} noun
 * @param {string} [plural]
 */
export const plural = (number, noun, plural = `${noun}s`) => `${count(number)} ${number === 1 ? noun : plural}`;

/**
 * Compares names as people do: CS-2 comes before CS-10.
 * @type {(a: string, b: string) => number}
 */
export const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;
