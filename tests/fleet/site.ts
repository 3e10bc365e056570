/** A fleet as the site of the conformance suite. */
import { join } from "@std/path";
import type { Cloud } from "../../clouds/cloud.ts";
import type { Site, Subject } from "../clouds/conformance.ts";
import { Fleet } from "../support/fleet.ts";
import { claimsIn, type Kind, leftOn, writeConfig } from "./field.ts";

/** Real machines under a cloud: two hosts, or a login node and two that compute. */
export function subjectOn(kind: Kind, cloud: Cloud): Subject {
  return { name: kind, gives: true, canBeCut: true, open: (folder) => open(kind, cloud, folder) };
}

async function open(kind: Kind, cloud: Cloud, folder: string): Promise<Site> {
  const fleet = await Fleet.up(kind === "ssh" ? 2 : 3, { slurm: kind === "slurm" });
  await writeConfig(kind, { home: folder, fleet });
  const ways = kind === "ssh" ? [1, 2] : [1];
  let parted = false;
  return {
    cloud,
    infra: kind === "ssh" ? "ssh/all" : "slurm/fleet",
    async cut() {
      for (const way of ways) await fleet.part(way);
      parted = true;
    },
    async heal() {
      if (!parted) return;
      for (const way of ways) await fleet.join(way);
      parted = false;
    },
    leftovers: async (
      options,
    ) => [...await leftOn(fleet, kind, options), ...await claimsIn(join(folder, "home"))],
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}
