// The first stations of the fleet, kept up to date over the UI protocol.
const LIMIT = 100;
const FIELDS = ["stationInfo.chargingStationId", "stationInfo.templateName", "started", "wsState",
  "bootNotificationResponse", "connectors"];
const uuid = () => crypto.randomUUID?.() ?? "00000000-0000-4000-8000-000000000000"; // absent where the page is not secure
const CONNECTION = ["connecting", "open", "closing", "closed"];
const summary = document.getElementById("summary");
const table = document.getElementById("stations");

function row(station) {
  const line = document.createElement("tr");
  const connectors = (station.connectors ?? []).filter((connector) => connector.connectorId > 0);
  for (const text of [
    station.stationInfo.chargingStationId,
    station.stationInfo.templateName,
    station.started ? "yes" : "no",
    CONNECTION[station.wsState] ?? "",
    station.bootNotificationResponse?.status ?? "",
    connectors.map((connector) => `${connector.connectorId}: ${connector.status ?? ""}`).join(", "),
  ]) {
    line.appendChild(document.createElement("td")).textContent = text;
  }
  return line;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/`, ["ui0.0.1"]);
  const ask = () => socket.send(JSON.stringify([uuid(), "listChargingStations", { limit: LIMIT, fields: FIELDS }]));
  socket.onopen = ask;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.length === 1) {
      ask();
    } else if (message[1].chargingStations) {
      const { chargingStations, total } = message[1];
      summary.textContent = total > LIMIT ? `the first ${LIMIT} of ${total} stations` : `${total} station(s)`;
      table.replaceChildren(...chargingStations.map(row));
    }
  };
  socket.onclose = () => {
    summary.textContent = "the simulator is not there; trying again…";
    setTimeout(connect, 2000);
  };
}

connect();
