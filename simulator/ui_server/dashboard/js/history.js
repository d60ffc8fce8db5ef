import { Emitter } from "./emitter.js";
import * as credentials from "./credentials.js";

/** Milliseconds between two looks. */
const EVERY = 2_000;
/** Milliseconds that are remembered. */
const SPAN = 60 * 60_000;

/** States of the fleet as the chart stacks them. */
export const STACK = /** @type {const} */ (["Charging", "Occupied", "Available", "Faulted", "Unavailable", "Absent"]);

/**
 * @typedef {object} Look at the fleet at one moment; rates are of the time since the look before
 * @property {number} time ms
 * @property {number | null} sent messages per second
 * @property {number | null} received messages per second
 * @property {number | null} failed errors and missed deadlines per second
 * @property {number | null} p50 ms
 * @property {number | null} p95 ms
 * @property {number | null} p99 ms
 * @property {number} power W
 * @property {number} charging stations, those with a faulted connector among them
 * @property {number} transactions that run
 * @property {number} trouble stations with a fault, and running ones that the central system cannot reach
 * @property {Record<typeof STACK[number], number>} states
 *
 * @typedef {{action: string, count: number, mean: number, p50: number, p95: number}} ActionLatency seconds
 */

/** @typedef {Map<string, {bounds: number[], counts: number[], sum: number, count: number}>} Histograms cumulative, by action */

/**
 * What the fleet did since the page was opened, as charts want it. Latency is that of the last seconds, from the difference of the
 * histograms at /metrics; where those are not served, it is that of the whole run.
 * @extends {Emitter<{look: Look}>}
 */
export class History extends Emitter {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./fleet_store.js").FleetStore} store
   */
  constructor(session, store) {
    super();
    this.session = session;
    this.store = store;
    /** @type {Look[]} */
    this.looks = [];
    /** @type {ActionLatency[]} of the whole run */
    this.actions = [];
    /** @type {import("./protocol.js").SimulatorState | null} */
    this.simulator = null;
    /** @type {{time: number, statistics: import("./protocol.js").Statistics, histograms: Histograms | null} | null} */
    this.before = null;
    this.metrics = true;
    session.on("open", () => {
      this.before = null;
      void this.look();
    });
    const first = store.on("change", () => {
      if (!store.loaded) return;
      first();
      void this.look();
    });
    setInterval(() => void this.look(), EVERY);
  }

  async look() {
    if (this.session.state !== "open" || !this.store.loaded || this.looking) return;
    this.looking = true;
    try {
      const [{ state }, histograms] = await Promise.all([this.session.call("simulatorState"), this.histograms()]);
      if (state) this.take(state, histograms);
    } catch {
      // the link is lost: there is a gap
    } finally {
      this.looking = false;
    }
  }

  looking = false;

  /**
   * @param {import("./protocol.js").SimulatorState} state
   * @param {Histograms | null} histograms
   */
  take(state, histograms) {
    this.simulator = state;
    const time = Date.now();
    const { statistics } = state;
    const before = this.before;
    const restarted = before !== null && statistics.calls.sent < before.statistics.calls.sent;
    const seconds = before === null || restarted ? 0 : (time - before.time) / 1000;
    /** @param {(one: import("./protocol.js").Statistics) => number} of */
    const rate = (of) => (before === null || seconds <= 0 ? null : Math.max(0, (of(statistics) - of(before.statistics)) / seconds));
    const answers = (/** @type {import("./protocol.js").Statistics} */ one) => one.calls.answered + one.calls.errors;
    let quantiles = { p50: statistics.latencyMs.p50, p95: statistics.latencyMs.p95, p99: statistics.latencyMs.p99 };
    if (histograms !== null) {
      const all = merged(histograms);
      const earlier = before?.histograms && !restarted ? merged(before.histograms) : null;
      const recent = earlier === null ? { ...all, counts: [] } : { ...all, counts: all.counts.map((value, bound) => value - (earlier.counts[bound] ?? 0)) };
      const ms = (/** @type {number} */ share) => {
        const value = quantile(recent.bounds, recent.counts, share);
        return value === null ? null : value * 1000;
      };
      quantiles = { p50: ms(0.5), p95: ms(0.95), p99: ms(0.99) };
      this.actions = [...histograms].filter(([, { count }]) => count > 0).map(([action, { bounds, counts, sum, count }]) => ({
        action, count, mean: sum / count, p50: quantile(bounds, counts, 0.5) ?? 0, p95: quantile(bounds, counts, 0.95) ?? 0,
      })).sort((a, b) => b.count - a.count);
    }
    /** @type {Look["states"]} */
    const states = { Charging: 0, Occupied: 0, Available: 0, Faulted: 0, Unavailable: 0, Absent: 0 };
    let power = 0;
    let charging = 0;
    let transactions = 0;
    let trouble = 0;
    for (const row of this.store.rows.values()) {
      if (row.state in states) states[/** @type {keyof typeof states} */ (row.state)] += 1;
      else states.Absent += 1;
      if (row.state === "Faulted" || row.state === "Offline") trouble += 1;
      power += row.power;
      if (row.connected && row.connectors.some(({ status }) => status === "Charging")) charging += 1;
      for (const { transactionId } of row.connectors) if (transactionId !== undefined) transactions += 1;
    }
    const look = {
      time,
      sent: rate((one) => one.calls.sent + one.received.calls),
      received: rate((one) => answers(one) + one.received.calls),
      failed: rate((one) => one.calls.errors + one.calls.timeouts),
      ...quantiles,
      power,
      charging,
      transactions,
      trouble,
      states,
    };
    this.before = { time, statistics, histograms };
    this.looks.push(look);
    while (this.looks[0].time < time - SPAN) this.looks.shift();
    this.emit("look", look);
  }

  /** @returns {Promise<Histograms | null>} */
  async histograms() {
    if (!this.metrics) return null;
    try {
      const answer = await fetch("metrics", { headers: credentials.headers() });
      if (answer.status === 404) this.metrics = false;
      return answer.ok ? parseHistograms(await answer.text()) : null;
    } catch {
      return null;
    }
  }

  /**
   * Series of the looks of the last so many milliseconds.
   * @param {number} span
   * @param {((look: Look) => number | null)[]} of
   * @returns {import("./chart.js").ChartData}
   */
  data(span, of) {
    const end = this.looks.at(-1)?.time ?? 0;
    const looks = this.looks.filter(({ time }) => time >= end - span);
    return { times: looks.map(({ time }) => time), values: of.map((read) => looks.map(read)) };
  }
}

const LINE = /^simulator_call_duration_seconds_(bucket|sum|count)\{action="([^"]+)"(?:,le="([^"]+)")?\} (\S+)/;

/** @param {string} text in the format of Prometheus @returns {Histograms} */
function parseHistograms(text) {
  /** @type {Histograms} */
  const found = new Map();
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, part, action, bound, value] = match;
    const histogram = found.get(action) ?? { bounds: [], counts: [], sum: 0, count: 0 };
    found.set(action, histogram);
    if (part === "bucket") {
      histogram.bounds.push(bound === "+Inf" ? Infinity : Number(bound));
      histogram.counts.push(Number(value));
    } else histogram[part === "sum" ? "sum" : "count"] = Number(value);
  }
  return found;
}

/** @param {Histograms} histograms all actions together */
function merged(histograms) {
  /** @type {{bounds: number[], counts: number[]}} */
  const all = { bounds: [], counts: [] };
  for (const { bounds, counts } of histograms.values()) {
    if (all.bounds.length === 0) all.bounds = bounds;
    counts.forEach((value, bound) => {
      all.counts[bound] = (all.counts[bound] ?? 0) + value;
    });
  }
  return all;
}

/**
 * A quantile of a cumulative histogram, linear within a bucket.
 * @param {number[]} bounds
 * @param {number[]} counts
 * @param {number} share
 */
function quantile(bounds, counts, share) {
  const total = counts.at(-1) ?? 0;
  if (total <= 0) return null;
  const rank = share * total;
  const bucket = counts.findIndex((value) => value >= rank);
  const low = bucket > 0 ? bounds[bucket - 1] : 0;
  const below = bucket > 0 ? counts[bucket - 1] : 0;
  if (!Number.isFinite(bounds[bucket])) return low;
  return low + ((bounds[bucket] - low) * (rank - below)) / Math.max(1, counts[bucket] - below);
}
