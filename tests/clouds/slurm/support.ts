/** What the tests of the real Slurm share: a cloud context whose login node is this machine, and clusters on it. */
import { assert } from "@std/assert";
import { join } from "@std/path";
import type { CloudContext, ProvisionSpec } from "../../../clouds/cloud.ts";
import { slurm } from "../../../clouds/slurm/mod.ts";
import type { LaunchedResources } from "../../../core/cluster.ts";
import type { SkyConfig } from "../../../core/config.ts";
import { type SlurmOptions, TestSlurm, whyNoSlurm } from "../../support/slurm.ts";

export const signal = new AbortController().signal;
/** Where there is no Slurm, these tests count as skipped; the reason is in their names. */
const reason = whyNoSlurm();
export const real = (name: string) => ({
  name: reason === null ? name : `${name} (${reason})`,
  ignore: reason !== null,
});

export const RESOURCES: LaunchedResources = {
  cloud: "slurm",
  region: "t",
  zone: "main",
  instanceType: "1CPU--1GB",
  cpus: 1,
  memory: 0.5,
  accelerators: null,
  useSpot: false,
  diskSize: 256,
  ports: [],
  labels: {},
  imageId: null,
  hourlyCost: 0,
};

export function spec(name: string, options: Partial<ProvisionSpec> = {}): ProvisionSpec {
  return {
    nameOnCloud: name,
    clusterName: name,
    numNodes: 1,
    resources: RESOURCES,
    previous: null,
    ...options,
  };
}

export interface TestCloud {
  readonly ctx: CloudContext;
  readonly slurm: TestSlurm;
  readonly home: string;
  readonly lines: string[];
  readonly statuses: string[];
  /** The same with another config. */
  withConfig(config: SkyConfig): CloudContext;
}

/** A Slurm of its own; afterwards no job of ours is in its queue and no folder of a cluster is left. */
export async function withCloud(
  work: (cloud: TestCloud) => Promise<void>,
  options: SlurmOptions & { dirty?: boolean } = {},
): Promise<void> {
  await using started = await TestSlurm.start(options);
  // The nodes' programs see this folder, too.
  const home = await Deno.makeTempDir({ prefix: "sky slurm " });
  const lines: string[] = [];
  const statuses: string[] = [];
  const ctx: CloudContext = {
    folder: join(home, "server"),
    config: {},
    signal,
    log: { line: (text) => lines.push(text), status: (text) => text === null || statuses.push(text) },
    env: started.env(home),
    now: () => Date.now(),
  };
  try {
    await work({ ctx, slurm: started, home, lines, statuses, withConfig: (config) => ({ ...ctx, config }) });
    if (options.dirty !== true) {
      const left = (await started.run("squeue", "-h", "-o", "%i %j %T")).trim();
      assert(left === "", `still in the queue: ${left}`);
      const folders = await Array.fromAsync(Deno.readDir(join(home, ".sky_clusters"))).catch(() => []);
      assert(folders.length === 0, `folders left: ${folders.map(({ name }) => name)}`);
    }
  } finally {
    await slurm.close!(ctx.folder);
    await Deno.remove(home, { recursive: true });
  }
}
