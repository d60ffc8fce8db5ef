import { askForm } from "./dialog.js";
import { plural } from "./format.js";
import * as toasts from "./toasts.js";

/**
 * Ask for new stations and make them.
 * @param {import("./session.js").Session} session
 */
export async function addStations(session) {
  let templates;
  try {
    ({ templates = [] } = await session.call("listTemplates"));
  } catch (error) {
    toasts.failure("The templates cannot be listed", /** @type {Error} */ (error).message);
    return;
  }
  /** @type {import("./dialog.js").Field[]} */
  const fields = [
    { name: "template", label: "Template", type: "select", options: templates, required: true },
    { name: "numberOfStations", label: "How many", type: "number", value: 1, min: 1, max: 1_000_000, required: true },
    { name: "supervisionUrls", label: "Central system", placeholder: "ws://central.example/ocpp", hint: "Empty: that of the simulator or the template." },
    { name: "autoStart", label: "Start them at once", type: "check", value: true },
    { name: "baseName", label: "Base of the name", more: true },
    { name: "nameSuffix", label: "End of the name", more: true },
    { name: "supervisionUser", label: "User at the central system", more: true },
    { name: "supervisionPassword", label: "Password", type: "password", more: true },
    { name: "fixedName", label: "Use the base of the name as it is (one station only)", type: "check", more: true },
    { name: "persistentConfiguration", label: "Keep keys and state from run to run", type: "check", value: true, more: true },
    { name: "ocppStrictCompliance", label: "Strict OCPP", type: "check", more: true },
    { name: "enableStatistics", label: "Keep statistics of each station", type: "check", more: true },
    { name: "autoRegister", label: "Act as registered, whatever the central system answers", type: "check", more: true },
  ];
  const asked = await askForm({ title: "Add stations", fields, submit: "Add" });
  if (asked === null) return;
  const { template, numberOfStations, ...options } = asked;
  // What is off by default in a form is the template's business, unless somebody switched it on.
  for (const name of ["fixedName", "ocppStrictCompliance", "enableStatistics", "autoRegister"]) if (options[name] === false) delete options[name];
  if (options.persistentConfiguration === true) delete options.persistentConfiguration;
  try {
    const answer = await session.call("addChargingStations", { template, numberOfStations, options });
    if (answer.status === "success") toasts.success(`${plural(numberOfStations, "station")} added`, template);
    else toasts.failure("No stations were added", answer.errorMessage ?? "The simulator does not say why");
  } catch (error) {
    toasts.failure("No stations were added", /** @type {Error} */ (error).message);
  }
}
