/**
 * Listeners by the name of an event.
 * @template {Record<string, any>} Events what is told with each event
 */
export class Emitter {
  constructor() {
    /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
    this.listeners = new Map();
  }

  /**
   * Listen; returns what ends that.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    const found = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, found);
    found.add(listener);
    return () => found.delete(listener);
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  emit(name, detail) {
    for (const listener of [...(this.listeners.get(name) ?? [])]) listener(detail);
  }
}
