// A central system made of the npm packages `ocpp-rpc`, in its strict mode, and `ws`, neither of them ours.
//
// A program of its own: it takes orders as JSON lines on standard input, writes what happens as JSON lines on standard
// output, and ends with a report. The lines are described in foreign.py.
//
//     node central_ocpp_rpc.mjs PORT LEDGER

import { appendFileSync, existsSync, readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { RPCServer, NOREPLY, createRPCError } = require('ocpp-rpc');
const library = `ocpp-rpc ${require('ocpp-rpc/package.json').version} on ws ${require('ws/package.json').version}`;

const HEARTBEAT_INTERVAL = 5;
const [port, ledgerPath] = [Number(process.argv[2]), process.argv[3]];

// Written at once: a line must be out even when this process is killed in the next instant.
function say(event, details) {
    const line = Buffer.from(JSON.stringify({ event, ...details }) + '\n');
    for (let done = 0; done < line.length;) {
        try {
            done += writeSync(1, line, done);
        } catch (error) {
            if (error.code !== 'EAGAIN') throw error;
        }
    }
}

// Transaction numbers by what a StartTransaction says, in a file: a central system remembers over its own crash.
const lines = existsSync(ledgerPath) ? readFileSync(ledgerPath, 'utf8').split('\n').filter(Boolean) : [];
const numbers = new Map(lines.map((line, position) => [line, position + 1]));

function transactionNumber(...content) {
    const line = JSON.stringify(content);
    if (!numbers.has(line)) {
        appendFileSync(ledgerPath, line + '\n');
        numbers.set(line, numbers.size + 1);
    }
    return numbers.get(line);
}

const findings = [];
function find(text) {
    findings.push(text);
    say('finding', { text });
}

const accepted = { status: 'Accepted', parentIdTag: 'PARENT', expiryDate: '2037-12-31T23:59:59Z' };
const now = () => new Date().toISOString();
const held = new Set();
const refused = new Set();
const barred = new Set();
const unlessHeld = (action, answer) => (held.has(action) ? NOREPLY : answer);

const answers = {
    BootNotification: () => ({ currentTime: now(), interval: HEARTBEAT_INTERVAL, status: 'Accepted' }),
    Heartbeat: () => ({ currentTime: now() }),
    Authorize: () => ({ idTagInfo: accepted }),
    StartTransaction: (p, station) => {
        const transactionId = transactionNumber(station, p.connectorId, p.idTag, p.meterStart, p.timestamp);
        return unlessHeld('StartTransaction', { transactionId, idTagInfo: accepted });
    },
    StopTransaction: () => unlessHeld('StopTransaction', { idTagInfo: accepted }),
    MeterValues: () => ({}),
    StatusNotification: () => ({}),
    DataTransfer: () => ({ status: 'Accepted' }),
    DiagnosticsStatusNotification: () => ({}),
    FirmwareStatusNotification: () => ({}),
    SecurityEventNotification: () => ({}),
    SignedFirmwareStatusNotification: () => ({}),
    LogStatusNotification: () => ({}),
    SignCertificate: () => ({ status: 'Accepted' }),
};

const counts = { connections: 0, received: 0, sent: 0, closes: {} };
const stations = new Map();
const probes = new Set();

const server = new RPCServer({
    protocols: ['ocpp1.6'],
    strictMode: true,
    pingIntervalMs: 2000,
    callTimeoutMs: 10000,
});

server.on('error', (error) => find(`server: ${error}`));
server.on('upgradeAborted', ({ error, identity }) => {
    if (!barred.has(identity)) find(`${identity}: upgrade aborted: ${error}`);
});
server.auth((accept, reject, { identity }) => (barred.has(identity) ? reject(503) : accept()));
server.on('client', (client) => {
    const station = client.identity;
    const where = { station, connection: ++counts.connections };
    say('open', { ...where, subprotocol: client.protocol });
    stations.set(station, client);

    client.on('message', ({ message, outbound }) => {
        counts[outbound ? 'sent' : 'received']++;
        say('frame', { ...where, sent: outbound, text: String(message) });
    });
    client.on('badMessage', ({ buffer, error }) => {
        let id;
        try {
            id = JSON.parse(buffer)[1];
        } catch { /* no JSON: bad indeed */ }
        // The answers to what was sent past the library are unexpected to it alone.
        if (!probes.has(id)) find(`${station}: bad message: ${error.message}: ${buffer}`);
    });
    client.on('strictValidationFailure', ({ error, method, params, result, outbound, isCall }) => {
        const what = `${outbound ? 'outbound' : 'inbound'} ${method} ${isCall ? 'call' : 'result'}`;
        find(`${station}: strict mode: ${what}: ${error.message}: ${JSON.stringify(isCall ? params : result)}`);
    });
    client.on('socketError', (error) => find(`${station}: socket: ${error}`));
    client.once('disconnect', ({ code, reason }) => {
        if (stations.get(station) === client) stations.delete(station);
        counts.closes[code] = (counts.closes[code] ?? 0) + 1;
        say('close', { ...where, code, reason: String(reason) });
    });
    for (const [action, answer] of Object.entries(answers)) {
        client.handle(action, ({ params }) => {
            if (refused.delete(action)) throw createRPCError('InternalError', 'refused once');
            return answer(params, station);
        });
    }
});

async function call({ id, station, action, payload }) {
    let result = null;
    let error = null;
    try {
        const client = stations.get(station);
        if (!client) throw new Error(`${station} is not connected`);
        result = await client.call(action, payload);
    } catch (raised) {
        error = raised.rpcErrorCode ?? String(raised);
        if (!raised.rpcErrorCode) find(`${station}: ${action}: ${error}`);
    }
    say('answer', { id, result, error });
}

const httpServer = await server.listen(port, '127.0.0.1');
say('listening', { port: httpServer.address().port, library });

for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    if (order.order === 'report') break;
    if (order.order === 'call') {
        call(order);
    } else if (order.order === 'send') {
        probes.add(order.probe);
        stations.get(order.station).sendRaw(order.text);
    } else if (order.order === 'hold') {
        order.actions.forEach((action) => held.add(action));
        say('holds', { actions: [...held].sort() });
    } else if (order.order === 'refuse') {
        refused.add(order.action);
        say('refuses', { action: order.action });
    } else if (order.order === 'bar') {
        barred.add(order.station);
        stations.get(order.station).close({ force: true });
        say('barred', { stations: [...barred] });
    } else if (order.order === 'admit') {
        barred.delete(order.station);
        say('barred', { stations: [...barred] });
    }
}
say('report', { ...counts, findings });
process.exit(0);
