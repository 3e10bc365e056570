/** Faults between us and ssh hosts, in each phase of a launch: launch, sync, setup, run, logs, cancel. */
import { FAULTS } from "./faults.ts";
import { underFault } from "./lanes.ts";

for (const fault of Object.values(FAULTS)) {
  Deno.test(`ssh, in each phase of a launch: ${fault.name}`, () => underFault("ssh", fault));
}
