import { Emitter } from "./emitter.js";
import { FLEET_FIELDS } from "./protocol.js";
import { rowOf } from "./stations.js";

/** @typedef {import("./stations.js").Row} Row */

/** Stations in one answer. */
const PAGE = 250;
/** Milliseconds between two readings of the whole fleet for a server that only says that something has changed. */
const REFRESH_PAUSE = 3_000;

/**
 * All stations of the simulator, kept up to date: read page by page, then by what the server tells.
 *
 * Event `change`: at most once in a frame of the screen.
 * @extends {Emitter<{change: void}>}
 */
export class FleetStore extends Emitter {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.session = session;
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** How many there are; more than there are rows while they are being read. */
    this.total = 0;
    this.loaded = false;
    this.positions = 0;
    /** Number of the latest reading; an older one that is still under way is given up. */
    this.reading = 0;
    this.isReading = false;
    /** @type {Set<string>} stations that were told of while the fleet was being read */
    this.added = new Set();
    this.refreshTimer = 0;
    this.scheduled = false;
    session.follow({ topics: ["stations"], fields: FLEET_FIELDS });
    session.on("open", () => void this.read());
    session.on("stations", (delta) => this.take(delta));
    session.on("refresh", () => this.refreshLater());
  }

  /** Read the whole fleet; what is no longer there goes. */
  async read() {
    const reading = ++this.reading;
    this.isReading = true;
    this.added.clear();
    /** @type {Set<string>} */
    const seen = new Set();
    try {
      for (let offset = 0; ; offset += PAGE) {
        const answer = await this.session.call("listChargingStations", { offset, limit: PAGE, fields: FLEET_FIELDS });
        if (reading !== this.reading) return;
        const stations = answer.chargingStations ?? [];
        this.total = answer.total ?? stations.length;
        for (const station of stations) {
          seen.add(station.stationInfo.hashId);
          this.put(station);
        }
        this.changed();
        if (stations.length < PAGE || offset + PAGE >= this.total) break;
      }
    } catch {
      return; // the link is lost: the next opening reads again
    }
    for (const id of this.rows.keys()) if (!seen.has(id) && !this.added.has(id)) this.rows.delete(id);
    this.isReading = false;
    this.loaded = true;
    this.total = this.rows.size;
    this.changed();
  }

  /** @param {import("./protocol.js").StationsDelta} delta */
  take(delta) {
    for (const station of delta.changed) {
      if (this.isReading) this.added.add(station.stationInfo.hashId);
      this.put(station);
    }
    for (const id of delta.removed) {
      this.added.delete(id);
      this.rows.delete(id);
    }
    this.total = delta.total;
    this.changed();
  }

  /** @param {import("./protocol.js").Station} station */
  put(station) {
    const known = this.rows.get(station.stationInfo.hashId);
    // An answer may come after news that are younger than it.
    if (known !== undefined && station.timestamp !== undefined && station.timestamp < known.timestamp) return;
    this.rows.set(station.stationInfo.hashId, rowOf(station, known?.position ?? this.positions++));
  }

  refreshLater() {
    if (this.session.subscribed || this.refreshTimer !== 0) return;
    this.refreshTimer = setTimeout(() => {
      this.refreshTimer = 0;
      void this.read();
    }, REFRESH_PAUSE);
  }

  changed() {
    if (this.scheduled) return;
    this.scheduled = true;
    // A hidden page draws no frames, and still has to know.
    const tell = () => {
      this.scheduled = false;
      this.emit("change", undefined);
    };
    if (document.hidden) setTimeout(tell, 250);
    else requestAnimationFrame(tell);
  }
}
