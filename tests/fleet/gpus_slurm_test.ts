/** `sky gpus list` of a real Slurm cluster. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Field } from "./field.ts";

Deno.test("gpus list --infra slurm: what is free, by partition and by node", async () => {
  await using field = await Field.open("slurm", { nodes: 2 });
  const { sky, fleet } = field;
  await sky.ok(["check", "slurm"]);
  await sky.ok(
    "launch -c g -y -d --infra slurm/fleet/short --gpus H100:3 --cpus 1 --memory 1 true".split(" "),
  );
  await fleet.admin("scontrol", "update", "nodename=n3", "state=drain", "reason=disk");
  const text = await sky.ok(["gpus", "list", "--infra", "slurm", "-v"]);
  const [title, cluster, ...rest] = text.trimEnd().split("\n").map((line) => line.trimEnd());
  assertEquals([title, cluster], ["Slurm GPUs", "Slurm Cluster: fleet"]);
  assertEquals(rest.map((line) => line.replace(/ {2,}/g, "|")), [
    "GPU|REQUESTABLE_QTY_PER_NODE|UTILIZATION",
    "H100|1, 2, 4|1 of 8 free",
    "Slurm per-partition accelerator availability",
    "CLUSTER|PARTITION|GPU|UTILIZATION",
    "fleet|main|H100|1 of 8 free",
    "fleet|short|H100|1 of 4 free",
    "Slurm per-node GPU availability",
    "CLUSTER|PARTITION|NODE|vCPU|Memory (GB)|GPU|GPU UTILIZATION|NODE STATUS",
    "fleet|main,short|n2|1 of 2 free|2.9 of 3.9 free|H100|1 of 4 free|mix",
    "fleet|main|n3|2 of 2 free|3.9 of 3.9 free|H100|0 of 4 free|drain",
  ]);
  await fleet.killSshd(1);
  assertStringIncludes(await sky.ok(["gpus", "list", "--infra", "slurm"]), "Error: Could not query Slurm");
  await fleet.startSshd(1);
  await fleet.admin("scontrol", "update", "nodename=n3", "state=resume");
  await field.clear();
});
