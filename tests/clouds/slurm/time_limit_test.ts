import { assertEquals } from "@std/assert";
import { slurm } from "../../../clouds/slurm/mod.ts";
import { until } from "../support.ts";
import { real, RESOURCES, spec, withCloud } from "./support.ts";

Deno.test({
  ...real("inspect tells of an allocation that reached its time limit"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const handle = await slurm.provision(spec("t-1", { resources: { ...RESOURCES, zone: "short" } }), ctx);
      const id = (await machines.run("squeue", "-h", "-o", "%A")).trim();
      const look = async () => (await slurm.inspect(handle, ctx))[0]!;
      await until(async () => (await look()).state === "gone", "the time limit", 150_000);
      assertEquals((await look()).reason, `Slurm job ${id}: its time limit was reached (TIMEOUT)`);
      assertEquals(await slurm.abandon!(handle, ctx), null);
    }),
});
