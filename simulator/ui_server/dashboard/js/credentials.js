/** Credentials that the user typed on this page, kept in memory only. A browser that knows them by itself needs none. */

/** @type {string | null} */
let token = null;

/**
 * @param {string} user
 * @param {string} password
 */
export function remember(user, password) {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  token = btoa(String.fromCharCode(...bytes));
}

/** Sub-protocols to offer: browsers cannot set headers on a WebSocket, so credentials travel as one of them. */
export function subprotocols() {
  // A sub-protocol is an HTTP token, which has no "/", no "+" in some servers, and no "=".
  return token === null ? [] : [`authorization.basic.${token.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`];
}

/**
 * Headers for requests of this page.
 * @returns {Record<string, string>}
 */
export function headers() {
  return token === null ? {} : { Authorization: `Basic ${token}` };
}
