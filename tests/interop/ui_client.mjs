// A client of the UI protocol that knows only what its first manual says: SRPC on a WebSocket whose sub-protocol is
// ui0.0.1, requests [uuid, ProcedureName, PDU], responses [uuid, PDU], and what each PDU holds.
//
// Usage: node ui_client.mjs URL FURTHER. FURTHER is JSON, an array of [ProcedureName, PDU] that the manual does not have.
// Writes the answers as JSON, an array of [ProcedureName, PDU]; exits with an error at the first breach of the manual.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const [url, further] = process.argv.slice(2);
const socket = new WebSocket(url, "ui0.0.1");
await once(socket, "open");
assert.equal(socket.protocol, "ui0.0.1");

const waiting = new Map();
socket.on("message", (data, isBinary) => {
  assert.equal(isBinary, false);
  const message = JSON.parse(data.toString());
  if (message.length !== 2) return; // nothing that was asked for
  const [id, answer] = message;
  if (!waiting.has(id)) return;
  waiting.get(id)(answer);
  waiting.delete(id);
});
socket.on("close", (code) => {
  assert.equal(waiting.size, 0, `closed with ${code} before the answer`);
});

const answers = [];
async function ask(name, payload) {
  const id = randomUUID();
  const answer = new Promise((resolve) => waiting.set(id, resolve));
  socket.send(JSON.stringify([id, name, payload]));
  const found = await answer;
  assert.ok(["success", "failure"].includes(found.status), `${name}: status ${found.status}`);
  answers.push([name, found]);
  return found;
}

// Procedures that answer {status, hashIdsSucceeded, hashIdsFailed?, responsesFailed?}, with a check of that shape.
async function order(name, payload, expected = "success") {
  const found = await ask(name, payload);
  const meant = payload.hashIds ?? hashIds;
  assert.ok(Array.isArray(found.hashIdsSucceeded), name);
  const failed = found.hashIdsFailed ?? [];
  assert.deepEqual([...found.hashIdsSucceeded, ...failed].sort(), [...meant].sort(), name);
  assert.equal((found.responsesFailed ?? []).length, failed.length, name);
  assert.equal(found.status, failed.length ? "failure" : "success", name);
  assert.equal(found.status, expected, `${name}: ${JSON.stringify(found)}`);
  return found;
}

async function stations() {
  const found = await ask("listChargingStations", {});
  assert.equal(found.status, "success");
  return found.chargingStations;
}

let all = await stations();
const hashIds = all.map((station) => station.stationInfo.hashId);
assert.equal(new Set(hashIds).size, 2);
for (const { started, connectors } of all) {
  assert.equal(started, true);
  assert.ok(Array.isArray(connectors));
}
const [one] = hashIds;

await order("Heartbeat", {});
await order("StatusNotification", { hashIds: [one], connectorId: 1, errorCode: "NoError", status: "Available" });
await order("startTransaction", { hashIds: [one], connectorId: 1, idTag: "CARD" });
all = await stations();
const { transactionId, status } = all.find((station) => station.stationInfo.hashId === one).connectors[1];
assert.equal(status, "Charging");
assert.ok(Number.isInteger(transactionId));
await order("stopTransaction", { hashIds, transactionId }, "failure"); // the other station does not run it
await order("stopTransaction", { hashIds: [one], transactionId }, "failure"); // nor does this one any more
await order("startAutomaticTransactionGenerator", { hashIds: [one], connectorIds: [1] });
await order("stopAutomaticTransactionGenerator", { hashIds: [one], connectorIds: [1] });
await order("startAutomaticTransactionGenerator", { hashIds: [one], connectorIds: [99] }, "failure");
await order("closeConnection", {});
await order("Heartbeat", {}, "failure");
await order("openConnection", {});
await order("stopChargingStation", { hashIds: [one] });
all = await stations();
assert.deepEqual(all.map((station) => station.started), [false, true]);
await order("startChargingStation", { hashIds: [one] });
assert.equal((await ask("stopSimulator", {})).status, "success");
assert.ok((await stations()).every((station) => !station.started));
assert.equal((await ask("startSimulator", {})).status, "success");
assert.equal((await ask("makeCoffee", {})).status, "failure");

for (const [name, payload] of JSON.parse(further)) await ask(name, payload);

socket.close(1000);
const [code] = await once(socket, "close");
assert.equal(code, 1000);
process.stdout.write(JSON.stringify(answers));
