import { assertEquals } from "@std/assert";
import type { SlurmJob } from "../../../clouds/slurm/facts.ts";
import { hopeless, isEnded, isWaiting, nodeStateOf, waitingText } from "../../../clouds/slurm/states.ts";

const job = (state: string, reason: string | null = null): SlurmJob => ({
  id: "7",
  state,
  reason,
  numNodes: 2,
});

Deno.test("nodeStateOf calls gone only what positively ended", () => {
  const cases: [string, string][] = [
    ["RUNNING", "up"],
    ["PENDING", "unknown"],
    ["CONFIGURING", "unknown"],
    ["COMPLETING", "unknown"],
    ["SUSPENDED", "unknown"],
    ["STOPPED", "unknown"],
    ["REQUEUE_HOLD", "unknown"],
    ["SOMETHING_NEW", "unknown"],
    ["toString", "unknown"],
    ["COMPLETED", "gone"],
    ["CANCELLED", "gone"],
    ["FAILED", "gone"],
    ["TIMEOUT", "gone"],
    ["NODE_FAIL", "gone"],
    ["PREEMPTED", "gone"],
    ["BOOT_FAIL", "gone"],
    ["DEADLINE", "gone"],
    ["OUT_OF_MEMORY", "gone"],
  ];
  for (const [state, expected] of cases) {
    assertEquals(nodeStateOf(job(state)).state, expected, state);
    assertEquals(isEnded(job(state)), expected === "gone", state);
  }
  assertEquals(nodeStateOf(job("PREEMPTED")).reason, "Slurm job 7: it was preempted (PREEMPTED)");
  assertEquals(nodeStateOf(job("PENDING", "Resources")).reason, "Slurm job 7 is PENDING (Resources)");
});

Deno.test("waitingText tells the reason and who is before us", () => {
  assertEquals(waitingText(job("PENDING", "Resources"), 3), "pending: Resources, 3 others ahead");
  assertEquals(waitingText(job("PENDING", "Priority"), 1), "pending: Priority, 1 other ahead");
  assertEquals(waitingText(job("PENDING", "Licenses"), 0), "pending: Licenses");
  assertEquals(waitingText(job("PENDING"), null), "pending: Submitted");
  assertEquals(waitingText(job("CONFIGURING"), null), "configuring");
});

Deno.test("hopeless is only what waits for nothing", () => {
  assertEquals(hopeless(job("PENDING", "Resources")), null);
  assertEquals(
    hopeless(job("PENDING", "PartitionNodeLimit")),
    "PartitionNodeLimit: the partition has, or allows, fewer nodes",
  );
  assertEquals(hopeless(job("RUNNING", "PartitionNodeLimit")), null);
  assertEquals(hopeless(job("PENDING", "constructor")), null);
  assertEquals(isWaiting(job("CONFIGURING")), true);
});
