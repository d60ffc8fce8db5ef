import * as credentials from "./credentials.js";
import { Emitter } from "./emitter.js";
import { SUBPROTOCOL } from "./protocol.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {"connecting" | "open" | "waiting" | "refused"} LinkState */

/** Milliseconds after which a request has failed; the server answers sooner. */
const ANSWER_WITHIN = 70_000;
/** Milliseconds after which an attempt to connect has failed; browsers wait for minutes. */
const OPEN_WITHIN = 10_000;
const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 5_000;

/** The connection was lost before the answer came. */
export class LinkLost extends Error {}

/** A uuid of version 4; `crypto.randomUUID` is missing on pages that are not secure. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * One WebSocket of the UI protocol that opens itself again, for ever, until `close`.
 *
 * Events: `state` whenever the link changes, `open` once requests can be made (again), and what the server tells.
 * @extends {Emitter<{
 *   state: LinkState,
 *   open: void,
 *   stations: import("./protocol.js").StationsDelta,
 *   messages: {messages: import("./protocol.js").Message[], skipped: boolean},
 *   refresh: void,
 * }>}
 */
export class Session extends Emitter {
  /** @param {{primary?: boolean}} [options] primary: finds out why it is refused */
  constructor({ primary = false } = {}) {
    super();
    this.primary = primary;
    /** @type {LinkState} */
    this.state = "connecting";
    /** Milliseconds since 1970 at which the next attempt is made. */
    this.retryAt = 0;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {Map<string, {resolve: (answer: Answer) => void, reject: (error: Error) => void, timer: number}>} */
    this.pending = new Map();
    /** @type {import("./protocol.js").Subscription | null} */
    this.subscription = null;
    /** Whether the server follows the subscription; else it only says that something has changed. */
    this.subscribed = false;
    this.failures = 0;
    this.refusals = 0;
    this.retryTimer = 0;
    this.closed = false;
    this.wake = () => {
      if (this.state === "waiting") this.connect();
    };
    addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    this.connect();
  }

  /** Try at once. */
  connect() {
    clearTimeout(this.retryTimer);
    if (this.closed || this.socket !== null) return;
    const url = new URL("./", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    url.search = "";
    const socket = new WebSocket(url, [SUBPROTOCOL, ...credentials.subprotocols()]);
    this.socket = socket;
    this.setState("connecting");
    let opened = false;
    const late = setTimeout(() => socket.close(), OPEN_WITHIN);
    socket.onopen = () => {
      clearTimeout(late);
      opened = true;
      this.failures = 0;
      this.refusals = 0;
      this.setState("open");
      if (this.subscription !== null) this.subscribe();
      this.emit("open", undefined);
    };
    socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    socket.onclose = () => {
      clearTimeout(late);
      void this.lost(opened);
    };
  }

  /** End for good. */
  close() {
    this.closed = true;
    clearTimeout(this.retryTimer);
    removeEventListener("online", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.socket?.close(1000);
    this.failPending();
    this.setState("waiting"); // calls that wait for the opening wait no longer
  }

  /**
   * Follow what the subscription names, from now on and after every reconnection.
   * @param {import("./protocol.js").Subscription} subscription
   */
  follow(subscription) {
    this.subscription = subscription;
    if (this.state === "open") this.subscribe();
  }

  subscribe() {
    const socket = this.socket;
    const told = (/** @type {Answer} */ answer) => {
      if (this.socket === socket) this.subscribed = answer.status === "success";
    };
    this.call("subscribe", this.subscription ?? {}).then(told, () => {});
  }

  /** Wait for the end of the attempt to connect that is under way, if one is. */
  async opening() {
    if (this.state !== "connecting") return;
    await new Promise((resolve) => {
      const quiet = this.on("state", () => {
        quiet();
        resolve(undefined);
      });
    });
  }

  /**
   * Call a procedure. A failure is an answer; only a lost link rejects.
   * @param {string} procedure
   * @param {object} [payload]
   * @returns {Promise<Answer>}
   */
  async call(procedure, payload = {}) {
    await this.opening();
    const socket = this.socket;
    if (socket === null || socket.readyState !== WebSocket.OPEN) {
      throw new LinkLost("there is no connection to the simulator");
    }
    const id = uuid();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new LinkLost(`the simulator did not answer within ${ANSWER_WITHIN / 1000} s`));
      }, ANSWER_WITHIN);
      this.pending.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify([id, procedure, payload]));
    });
  }

  /** @param {any[]} message */
  take(message) {
    const [name, detail] = message;
    if (name === "refresh" || name === "stations" || name === "messages") {
      this.emit(name, detail);
      return;
    }
    const waiting = this.pending.get(name);
    if (waiting === undefined) return;
    this.pending.delete(name);
    clearTimeout(waiting.timer);
    waiting.resolve(detail);
  }

  /** @param {boolean} opened whether the connection that ended had been one */
  async lost(opened) {
    this.socket = null;
    this.subscribed = false;
    this.failPending();
    if (this.closed) return;
    this.pause();
    if (!opened && this.primary && this.failures % 2 === 0) await this.diagnose();
  }

  pause() {
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(this.failures, 6)) * (0.8 + 0.4 * Math.random());
    this.failures += 1;
    this.retryAt = Date.now() + pause;
    this.retryTimer = setTimeout(() => this.connect(), pause);
    this.setState("waiting");
  }

  /** A refused WebSocket tells a page nothing: a request tells whether it is for the credentials. */
  async diagnose() {
    let status = 0;
    try {
      const answer = await fetch("ui/0.0.1/listTemplates", { method: "POST", headers: credentials.headers() });
      status = answer.status;
    } catch {
      // nobody is there
    }
    if (this.closed || this.state === "open") return;
    // Where HTTP is served and the WebSocket is not, twice in a row, the browser keeps its credentials from the latter.
    this.refusals = status === 401 || (status >= 200 && status < 500 && status !== 429) ? this.refusals + 1 : 0;
    if (status === 401 || this.refusals >= 2) {
      clearTimeout(this.retryTimer);
      this.setState("refused");
    }
  }

  failPending() {
    for (const { reject, timer } of this.pending.values()) {
      clearTimeout(timer);
      reject(new LinkLost("the connection to the simulator was lost before it answered"));
    }
    this.pending.clear();
  }

  /** @param {LinkState} state */
  setState(state) {
    this.state = state;
    this.emit("state", state);
  }
}
