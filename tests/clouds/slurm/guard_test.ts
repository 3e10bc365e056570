import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import type { GuardPolicy } from "../../../clouds/cloud.ts";
import { batchScript } from "../../../clouds/slurm/batch_script.ts";
import { clusterFolder, prepare, type SlurmHandle } from "../../../clouds/slurm/handle.ts";
import { slurm } from "../../../clouds/slurm/mod.ts";
import { ended, until } from "../support.ts";
import { real, RESOURCES, signal, spec, type TestCloud, withCloud } from "./support.ts";

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

/** A cluster whose guard takes the server for dead after two seconds. */
async function launch(name: string, { ctx, slurm: machines, home }: TestCloud): Promise<SlurmHandle> {
  const script = batchScript(
    { cluster: clusterFolder(home, name), tmpdir: "/tmp", numNodes: 1 },
    { leaseSeconds: 2, guardSeconds: 1 },
  );
  const path = join(home, `${name}.sh`);
  await Deno.writeTextFile(path, script);
  await machines.run("sbatch", `--job-name=${name}`, "--partition=main", "--mem=100M", "-o/dev/null", path);
  return await slurm.provision(spec(name, { resources: { ...RESOURCES, cpus: 1 } }), ctx) as SlurmHandle;
}

const policy = (options: Partial<GuardPolicy> = {}): GuardPolicy => ({
  idleMinutes: 1,
  down: true,
  waitFor: "jobs_and_ssh",
  lastActiveAt: Date.now() - 600_000,
  busy: false,
  ...options,
});

const state = async (handle: SlurmHandle, { ctx }: TestCloud) => (await slurm.inspect(handle, ctx))[0]!.state;

Deno.test({
  ...real("an idle allocation ends itself once no server renews its lease, and not before"),
  fn: () =>
    withCloud(async (cloud) => {
      const { ctx } = cloud;
      const idle = await launch("g-1", cloud);
      const recent = await launch("g-2", cloud);
      const disarmed = await launch("g-3", cloud);
      await slurm.guard!(recent, policy({ lastActiveAt: Date.now() }), ctx);
      await slurm.guard!(disarmed, policy(), ctx);
      await slurm.guard!(disarmed, null, ctx);
      for (let i = 0; i < 5; i++) {
        await slurm.guard!(idle, policy(), ctx);
        await delay(900);
      }
      assertEquals(await state(idle, cloud), "up");
      await until(async () => await state(idle, cloud) === "gone", "the end of an idle allocation");
      assertEquals(await Deno.stat(clusterFolder(cloud.home, "g-1")).catch(() => null), null);
      assertEquals(await state(recent, cloud), "up");
      assertEquals(await state(disarmed, cloud), "up");
      for (const handle of [idle, recent, disarmed]) await slurm.terminate(handle, ctx);
    }, { nodes: 2 }),
});

Deno.test({
  ...real("a running job keeps its allocation, unless nothing is waited for"),
  fn: () =>
    withCloud(async (cloud) => {
      const { ctx } = cloud;
      const [busy, none] = [await launch("b-1", cloud), await launch("b-2", cloud)];
      for (const handle of [busy, none]) {
        const [runner] = slurm.runners(handle, ctx);
        await runner!.startJob({ ...start, script: "sleep 6; echo done" }, { signal });
      }
      await slurm.guard!(busy, policy(), ctx);
      await slurm.guard!(none, policy({ waitFor: "none" }), ctx);
      await until(async () => await state(none, cloud) === "gone", "an end that waits for nothing");
      const [runner] = slurm.runners(busy, ctx);
      assertEquals((await ended(runner!, "1-t")).exitCode, 0);
      // From then on the idle minute counts.
      await delay(2_500);
      assertEquals(await state(busy, cloud), "up");
      for (const handle of [busy, none]) await slurm.terminate(handle, ctx);
    }, { nodes: 2 }),
});

Deno.test("handles survive as JSON and hold nothing odd", () => {
  const handle = prepare(spec("h-1"));
  assertEquals(JSON.parse(JSON.stringify(handle)), handle);
});
