/** Faults between us and Slurm, in each phase of a launch: launch, sync, setup, run, logs, cancel. */
import { FAULTS } from "./faults.ts";
import { underFault } from "./lanes.ts";

for (const fault of Object.values(FAULTS)) {
  Deno.test(`slurm, in each phase of a launch: ${fault.name}`, () => underFault("slurm", fault));
}
