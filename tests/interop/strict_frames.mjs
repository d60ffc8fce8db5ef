// Holds recorded frames of stations against what a server of ocpp-rpc in strictMode demands of them.
// node strict_frames.mjs FILE: a frame a line, [connection, "in" from the station or "out" to it, text].
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const validators = createRequire(import.meta.url)('ocpp-rpc/lib/standard-validators');
const strict = validators.find((each) => each.subprotocol === 'ocpp1.6');

const asked = new Map(); // CALLs to stations that wait for their answer, by connection and message id
const frames = { calls: 0, results: 0, errors: 0 };
const unknown = new Set(); // messages that ocpp-rpc has no schema of
const violations = [];

function judge(schema, payload, link, text) {
  try {
    strict.validate(schema, payload);
  } catch (error) {
    if (error.message.includes('is missing from subprotocol schema')) unknown.add(schema);
    else violations.push({ link, text, error: error.message });
  }
}

for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  const [link, direction, text] = JSON.parse(line);
  let frame;
  try {
    frame = JSON.parse(text);
  } catch (error) {
    if (direction === 'in') violations.push({ link, text, error: error.message });
    continue; // what a test sends to a station may be anything
  }
  if (!Array.isArray(frame)) continue;
  const [type, id] = frame;
  if (direction === 'out') {
    if (type === 2) asked.set(`${link} ${id}`, frame[2]);
  } else if (type === 2) {
    frames.calls += 1;
    if (frame.length !== 4) violations.push({ link, text, error: 'a CALL has four elements' });
    judge(`urn:${frame[2]}.req`, frame[3], link, text);
  } else if (type === 3) {
    frames.results += 1;
    const action = asked.get(`${link} ${id}`);
    if (action === undefined) violations.push({ link, text, error: 'an answer to nothing that was asked' });
    else judge(`urn:${action}.conf`, frame[2], link, text);
  } else if (type === 4) frames.errors += 1;
  else violations.push({ link, text, error: `no type of message: ${type}` });
}
console.log(JSON.stringify({ frames, unknown: [...unknown].sort(), violations }));
