import { h } from "./dom.js";
import { clock } from "./format.js";

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {string} color name of a CSS variable
 * @property {number} [scale] of its own: the greatest value; absent: shared with the others
 * @property {(value: number) => string} [format]
 *
 * @typedef {object} ChartOptions
 * @property {Series[]} series
 * @property {(value: number) => string} format of values
 * @property {string} label for those who cannot see it
 * @property {boolean} [stacked] areas on top of each other
 * @property {boolean} [bare] a small line without axes
 * @property {boolean} [fill] paint under the first line
 * @property {number} [window] seconds that are shown at least
 * @property {number} [least] the axis reaches at least so far
 * @property {boolean} [whole] values are whole numbers, and so are the marks of the axis
 */

/** @typedef {{times: number[], values: (number | null)[][]}} ChartData times in ms, values by series */

const LEFT = 52;
const BOTTOM = 18;
const TOP = 6;
const RIGHT = 8;
/** Where a series has a scale of its own. */
const RIGHT_SCALE = 44;

/** Lines or stacked areas over time, on a canvas. */
export class Chart {
  /** @param {ChartOptions} options */
  constructor(options) {
    this.options = options;
    /** @type {ChartData} */
    this.data = { times: [], values: options.series.map(() => []) };
    this.canvas = h("canvas", { role: "img", "aria-label": options.label });
    this.element = h("div", { class: options.bare ? "spark" : "plot" }, this.canvas);
    if (options.bare) {
      this.canvas.style.width = "100%";
      this.canvas.style.height = "100%";
      this.canvas.setAttribute("aria-hidden", "true");
    }
    this.hover = -1;
    /** @type {HTMLElement | null} */
    this.tip = null;
    this.scheduled = false;
    this.resize = new ResizeObserver(() => this.schedule());
    this.resize.observe(this.element);
    if (!options.bare) {
      this.canvas.addEventListener("pointermove", (event) => this.point(event));
      this.canvas.addEventListener("pointerleave", () => this.leave());
    }
    this.themed = () => this.schedule();
    addEventListener("themechange", this.themed);
  }

  destroy() {
    this.resize.disconnect();
    removeEventListener("themechange", this.themed);
  }

  /** @param {ChartData} data */
  setData(data) {
    this.data = data;
    this.schedule();
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  /** Where the lines are: in css pixels. */
  frame() {
    const { width, height } = this.element.getBoundingClientRect();
    const bare = this.options.bare === true;
    const box = bare ? { left: 1, top: 2, right: width - 1, bottom: height - 2 } : { left: LEFT, top: TOP, right: width - (this.hasScale() ? RIGHT_SCALE : RIGHT), bottom: height - BOTTOM };
    const { times } = this.data;
    const end = times.at(-1) ?? Date.now();
    const begin = Math.min(times[0] ?? end, end - (this.options.window ?? 60) * 1000);
    return { width, height, box, begin, end, x: (/** @type {number} */ time) => box.left + ((time - begin) / Math.max(1, end - begin)) * (box.right - box.left) };
  }

  /** Whether there is anything on a scale of its own. */
  hasScale() {
    return this.options.series.some(({ scale }, number) => scale !== undefined && this.data.values[number].some((value) => value !== null));
  }

  /** Where the shared axis ends. */
  greatest() {
    const { series, stacked, least = 0 } = this.options;
    let most = least;
    for (let point = 0; point < this.data.times.length; point++) {
      let sum = 0;
      series.forEach((one, number) => {
        const value = this.data.values[number][point] ?? 0;
        if (one.scale !== undefined) return;
        sum = stacked ? sum + value : value;
        if (sum > most) most = sum;
      });
    }
    return niceCeiling(most);
  }

  draw() {
    const { width, height, box, begin, end, x } = this.frame();
    if (width < 4 || height < 4) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    pen.scale(ratio, ratio);
    const styles = getComputedStyle(this.element);
    const color = (/** @type {string} */ name) => styles.getPropertyValue(`--${name}`).trim();
    const most = this.greatest();
    const y = (/** @type {number} */ value, /** @type {number} */ scale = most) => box.bottom - (value / (scale || 1)) * (box.bottom - box.top);

    if (!this.options.bare) {
      pen.font = `11px ${styles.fontFamily}`;
      pen.fillStyle = color("quiet");
      pen.strokeStyle = color("chart-grid");
      pen.lineWidth = 1;
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      const steps = markCount(most, height < 130 ? 2 : 4, this.options.whole === true);
      for (let step = 0; step <= steps; step++) {
        const value = (most * step) / steps;
        const line = Math.round(y(value)) + 0.5;
        pen.beginPath();
        pen.moveTo(box.left, line);
        pen.lineTo(box.right, line);
        pen.stroke();
        pen.fillText(bareNumber(this.options.format(value)), box.left - 6, line);
      }
      for (const { scale, format = String, color: tint } of this.options.series) {
        if (scale === undefined || !this.hasScale()) continue;
        pen.textAlign = "left";
        pen.fillStyle = color(tint);
        for (const value of [0, scale / 2, scale]) pen.fillText(bareNumber(format(value)), box.right + 6, Math.round(y(value, scale)) + 0.5);
      }
      pen.fillStyle = color("quiet");
      pen.textBaseline = "alphabetic";
      for (const [time, text] of timeMarks(begin, end, box.right - box.left)) {
        const at = x(time);
        pen.textAlign = at > box.right - 24 ? "right" : "center";
        if (at >= box.left + 8) pen.fillText(text, Math.min(at, box.right), height - 4);
      }
    }

    const { times, values } = this.data;
    const base = times.map(() => 0);
    this.options.series.forEach((series, number) => {
      const tint = color(series.color);
      const tops = times.map((_, point) => {
        const value = values[number][point];
        if (!this.options.stacked) return value;
        base[point] += value ?? 0;
        return base[point];
      });
      if (this.options.stacked) {
        pen.beginPath();
        times.forEach((time, point) => pen.lineTo(x(time), y(tops[point] ?? 0)));
        for (let point = times.length - 1; point >= 0; point--) pen.lineTo(x(times[point]), y((tops[point] ?? 0) - (values[number][point] ?? 0)));
        pen.closePath();
        pen.globalAlpha = 0.85;
        pen.fillStyle = tint;
        pen.fill();
        pen.globalAlpha = 1;
        return;
      }
      this.line(pen, times.map(x), tops.map((value) => (value === null || value === undefined ? null : y(value, series.scale ?? most))), tint,
        this.options.fill === true && number === 0 ? box.bottom : null);
    });

    if (this.hover >= 0 && this.hover < times.length && !this.options.bare) {
      const at = Math.round(x(times[this.hover])) + 0.5;
      pen.strokeStyle = color("line-strong");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(at, box.top);
      pen.lineTo(at, box.bottom);
      pen.stroke();
    }
  }

  /**
   * A line with gaps where there is no value.
   * @param {CanvasRenderingContext2D} pen
   * @param {number[]} xs
   * @param {(number | null)[]} ys
   * @param {string} tint
   * @param {number | null} floor paint down to there
   */
  line(pen, xs, ys, tint, floor) {
    pen.strokeStyle = tint;
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    let from = 0;
    while (from < ys.length) {
      if (ys[from] === null) {
        from += 1;
        continue;
      }
      let to = from;
      while (to + 1 < ys.length && ys[to + 1] !== null) to += 1;
      const path = new Path2D();
      for (let point = from; point <= to; point++) path.lineTo(xs[point], /** @type {number} */ (ys[point]));
      if (floor !== null && to > from) {
        const area = new Path2D(path);
        area.lineTo(xs[to], floor);
        area.lineTo(xs[from], floor);
        pen.globalAlpha = 0.13;
        pen.fillStyle = tint;
        pen.fill(area);
        pen.globalAlpha = 1;
      }
      if (to === from) {
        pen.fillStyle = tint;
        pen.fillRect(xs[from] - 1, /** @type {number} */ (ys[from]) - 1, 2, 2);
      } else pen.stroke(path);
      from = to + 1;
    }
  }

  /** @param {PointerEvent} event */
  point(event) {
    const { times, values } = this.data;
    if (times.length === 0) return;
    const { x, width } = this.frame();
    const at = event.offsetX;
    let nearest = 0;
    for (let point = 1; point < times.length; point++) {
      if (Math.abs(x(times[point]) - at) < Math.abs(x(times[nearest]) - at)) nearest = point;
    }
    this.hover = nearest;
    this.tip ??= h("div", { class: "tip" });
    const lines = this.options.series.map((series, number) => {
      const value = values[number][nearest];
      const text = value === null || value === undefined ? "–" : (series.format ?? this.options.format)(value);
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = `var(--${series.color})`;
      return h("div", { class: "line" }, swatch, h("span", { text: series.label }), h("span", { text }));
    });
    this.tip.replaceChildren(h("div", { class: "quiet", text: clock(times[nearest]) }), ...lines);
    this.element.append(this.tip);
    const place = x(times[nearest]);
    if (place > width / 2) {
      this.tip.style.left = "";
      this.tip.style.right = `${width - place + 8}px`;
    } else {
      this.tip.style.right = "";
      this.tip.style.left = `${place + 8}px`;
    }
    this.schedule();
  }

  leave() {
    this.hover = -1;
    this.tip?.remove();
    this.schedule();
  }
}

/** @param {string} text without decimals that say nothing */
const bareNumber = (text) => text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");

/** @param {number} value a round number that is not less */
function niceCeiling(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10]) if (value <= step * unit) return step * unit;
  return 10 * unit;
}

/**
 * Into how many equal parts the axis is cut.
 * @param {number} most
 * @param {number} wanted
 * @param {boolean} whole only whole numbers are marked
 */
function markCount(most, wanted, whole) {
  if (!whole) return wanted;
  const end = Math.round(most);
  return [wanted, 3, 5, 2].find((count) => count <= wanted + 1 && end % count === 0) ?? 1;
}

/**
 * Marks of the time axis, at round times.
 * @param {number} begin
 * @param {number} end
 * @param {number} width px
 * @returns {[number, string][]}
 */
function timeMarks(begin, end, width) {
  const most = Math.max(1, Math.floor(width / 76));
  const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600].map((seconds) => seconds * 1000);
  const step = steps.find((each) => (end - begin) / each <= most) ?? 43_200_000;
  /** @type {[number, string][]} */
  const marks = [];
  for (let time = Math.ceil(begin / step) * step; time <= end; time += step) {
    marks.push([time, step >= 60_000 ? clock(time).slice(0, 5) : clock(time)]);
  }
  return marks;
}
