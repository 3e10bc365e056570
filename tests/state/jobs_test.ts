import { assert, assertEquals } from "@std/assert";
import { JobStore, type NewJob } from "../../state/jobs.ts";
import { withDatabase } from "./fixture.ts";

function job(clusterHash: string, requestId: string, over: Partial<NewJob> = {}): NewJob {
  return {
    clusterHash,
    requestId,
    name: "train",
    logName: "train",
    userId: "a",
    userName: "ann",
    submittedAt: 5,
    resources: "1x[CPU:1+]",
    numNodes: 2,
    accelerators: { A100: 0.5 },
    spec: '{"run":"echo"}',
    gitCommit: null,
    ...over,
  };
}

Deno.test("JobStore.insert numbers jobs per cluster from 1, and finds the one of a resumed request", async () => {
  await withDatabase(async (database) => {
    const store = new JobStore(database);
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => store.insert(job(n % 2 === 0 ? "one" : "two", `r${n}`))),
    );
    assertEquals(
      all.map(({ job: { id } }) => id),
      Array.from({ length: 20 }, (_, n) => Math.floor(n / 2) + 1),
    );
    assert(all.every(({ created }) => created));
    const again = await store.insert(job("one", "r4", { name: "other", logName: "other", spec: "{}" }));
    assertEquals(again, { job: all[4]?.job ?? again.job, created: false });
    const unnamed = await store.insert(job("three", "r4", { name: null, logName: "-", accelerators: null }));
    const { logName: _, ...asked } = job("three", "r4");
    assertEquals(unnamed.job, {
      ...asked,
      id: 1,
      name: null,
      accelerators: null,
      status: "PENDING",
      startedAt: null,
      endedAt: null,
      nodes: [],
      gpus: [],
      exitCodes: [],
      logDir: "1--",
    });
  });
});

Deno.test("JobStore.update writes a final status once; the loser changes nothing", async () => {
  await withDatabase(async (database) => {
    const store = new JobStore(database);
    const { job: made } = await store.insert(job("c", "r", { status: "INIT" }));
    assert(await store.update(made, { status: "PENDING" }, { from: ["INIT"] }));
    assertEquals(await store.update(made, { status: "PENDING" }, { from: ["INIT"] }), false);
    assert(await store.update(made, { status: "RUNNING", startedAt: 7, nodes: [0, 1], gpus: [[0], [1]] }));
    const outcomes = await Promise.all([
      store.update(made, { status: "SUCCEEDED", endedAt: 9, exitCodes: [0, null] }),
      store.update(made, { status: "CANCELLED", endedAt: 8 }),
      store.update(made, { status: "FAILED" }),
    ]);
    assertEquals(outcomes, [true, false, false]);
    const over = await store.get("c", made.id);
    assertEquals([over?.status, over?.endedAt, over?.exitCodes, over?.nodes, over?.gpus], [
      "SUCCEEDED",
      9,
      [0, null],
      [0, 1],
      [[0], [1]],
    ]);
    assertEquals(await store.update(made, {}), false);
    assert(await store.update(made, { status: "FAILED_SETUP" }, { from: ["SUCCEEDED"] }));
  });
});

Deno.test("JobStore lists by cluster, user, ids and activity; forgets an incarnation whole", async () => {
  await withDatabase(async (database) => {
    const store = new JobStore(database);
    for (let n = 1; n <= 6; n++) await store.insert(job("c", `r${n}`, { userId: n % 2 === 0 ? "b" : "a" }));
    await store.insert(job("d", "r1"));
    await store.update({ clusterHash: "c", id: 2 }, { status: "SUCCEEDED" });
    const ids = async (filter = {}) => (await store.list("c", filter)).map((each) => each.id);
    assertEquals(await ids(), [1, 2, 3, 4, 5, 6]);
    assertEquals(await ids({ userId: "b" }), [2, 4, 6]);
    assertEquals(await ids({ userId: "b", active: true }), [4, 6]);
    assertEquals(await ids({ ids: [6, 1, 99] }), [1, 6]);
    assertEquals((await store.active()).map((each) => `${each.clusterHash}${each.id}`), [
      "c1",
      "c3",
      "c4",
      "c5",
      "c6",
      "d1",
    ]);
    assertEquals((await store.latest("c"))?.id, 6);
    assertEquals((await store.latest("c", { userId: "a" }))?.id, 5);
    assertEquals(await store.latest("none"), null);
    assertEquals((await store.byRequest("c", "r3"))?.id, 3);
    assertEquals(await store.deleteAll("c"), 6);
    assertEquals((await store.active()).length, 1);
  });
});
