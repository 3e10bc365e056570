import { assert, assertEquals } from "@std/assert";
import type { ClusterRecord } from "../../core/cluster.ts";
import { ClusterStore } from "../../state/clusters.ts";
import { withDatabase } from "./fixture.ts";

function record(name: string, over: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    name,
    hash: `hash-${name}`,
    nameOnCloud: `${name}-a0000001`,
    status: "INIT",
    statusUpdatedAt: 1,
    launchedAt: 1000,
    everUp: false,
    numNodes: 2,
    resources: {
      cloud: "local",
      region: "local",
      zone: null,
      instanceType: null,
      cpus: 2,
      memory: 4,
      accelerators: { A100: 8 },
      useSpot: false,
      diskSize: 256,
      ports: ["8080"],
      labels: { k: "v" },
      imageId: null,
      hourlyCost: 0,
    },
    handle: null,
    autostop: { idleMinutes: -1, down: false, waitFor: "jobs_and_ssh", setAt: 0 },
    lastActiveAt: 1000,
    userId: "a",
    userName: "ann",
    workspace: "default",
    lastUse: "sky launch",
    lastEvent: null,
    launchReason: null,
    lastCreationYaml: "run: 'é\n'",
    lastCreationCommand: "sky launch x.yaml",
    configHash: null,
    ...over,
  };
}

Deno.test("ClusterStore keeps every field, and lists newest launch first with filters", async () => {
  await withDatabase(async (database) => {
    const store = new ClusterStore(database);
    const full = record("full", {
      status: "UP",
      everUp: true,
      handle: { version: 1, nodes: ["a"], deep: { x: [1, null] } },
      autostop: { idleMinutes: 10, down: true, waitFor: "none", setAt: 5 },
      launchReason: "why",
      configHash: "h",
    });
    assertEquals(await store.get("full"), null);
    assert(await store.upsert(full));
    assertEquals(await store.get("full"), full);
    await store.upsert(record("late", { launchedAt: 3000, userId: "b", userName: "bob" }));
    await store.upsert(record("mid", { launchedAt: 2000, workspace: "w" }));
    const names = async (filter = {}) => (await store.list(filter)).map((each) => each.name);
    assertEquals(await names(), ["late", "mid", "full"]);
    assertEquals(await names({ names: ["full", "late", "none"] }), ["late", "full"]);
    assertEquals(await names({ names: [] }), []);
    assertEquals(await names({ userId: "a" }), ["mid", "full"]);
    assertEquals(await names({ userId: "a", workspace: "w" }), ["mid"]);
  });
});

Deno.test("ClusterStore: writes meant for one incarnation never touch the next, the owner stays", async () => {
  await withDatabase(async (database) => {
    const store = new ClusterStore(database);
    const old = record("x", { hash: "one" });
    const next = record("x", { hash: "two" });
    assert(await store.upsert(old));
    assertEquals(await store.upsert(next), false);
    assert(await store.upsert({ ...old, status: "UP", userId: "b", userName: "bob", workspace: "w" }));
    const kept = await store.get("x");
    assertEquals([kept?.status, kept?.userId, kept?.workspace], ["UP", "a", "default"]);
    assert(await store.delete(old));
    assertEquals(await store.delete(old), false);
    assert(await store.upsert(next));
    assertEquals(await store.update(old, { status: "STOPPED" }), false);
    assertEquals(await store.delete(old), false);
    assertEquals((await store.get("x"))?.hash, "two");
  });
});

Deno.test("ClusterStore.update is conditional on the status, and stamps a new one", async () => {
  await withDatabase(async (database, _folder, clock) => {
    const store = new ClusterStore(database);
    const key = { name: "x", hash: "hash-x" };
    await store.upsert(record("x"));
    const event = { reason: "All up", endingStatus: "UP" as const };
    assertEquals(await store.update(key, { status: "UP" }, { from: ["UP", "STOPPED"], event }), false);
    assertEquals(await store.events(key), []);
    clock.now += 5;
    assert(
      await store.update(key, { status: "UP", everUp: true, handle: { version: 2 } }, {
        from: ["INIT"],
        event,
      }),
    );
    const row = await store.get("x");
    assertEquals([row?.status, row?.statusUpdatedAt, row?.everUp, row?.handle], ["UP", clock.now, true, {
      version: 2,
    }]);
    assertEquals(row?.lastEvent, "All up");
    assert(await store.update(key, { lastUse: "sky exec", launchReason: null }));
    assertEquals((await store.get("x"))?.statusUpdatedAt, clock.now);
    assertEquals(await store.update(key, {}), true);
    const [noted] = await store.events(key);
    assertEquals([noted?.startingStatus, noted?.endingStatus, noted?.transitionedAt], [
      "INIT",
      "UP",
      clock.now,
    ]);
  });
});

Deno.test("ClusterStore opens and closes usage intervals by status, keeps the history of what is gone", async () => {
  await withDatabase(async (database, _folder, clock) => {
    const store = new ClusterStore(database);
    const start = clock.now;
    const key = { name: "x", hash: "hash-x" };
    await store.upsert(record("x"));
    clock.now += 10;
    await store.update(key, { status: "UP" });
    clock.now += 10;
    await store.update(key, { status: "STOPPED" });
    clock.now += 100;
    await store.update(key, { lastUse: "sky status" });
    await store.upsert(record("x", { status: "INIT", launchedAt: clock.now, numNodes: 3 }));
    clock.now += 10;
    const [open] = await store.history();
    assertEquals(open?.usage, [{ start, end: start + 20 }, { start: start + 120, end: null }]);
    assertEquals([open?.status, open?.numNodes, open?.removedAt], ["INIT", 3, null]);
    await store.delete(key, { reason: "Terminated by user", type: "TERMINAL" });
    clock.now += 1000;
    await store.upsert(record("x", { hash: "second", launchedAt: clock.now }));
    const [second, first] = await store.history();
    assertEquals([second?.hash, second?.status], ["second", "INIT"]);
    assertEquals(first?.usage.at(-1), { start: start + 120, end: start + 130 });
    assertEquals([first?.status, first?.removedAt], [null, start + 130]);
    assertEquals((await store.history({ since: clock.now - 500 })).map((each) => each.hash), ["second"]);
    assertEquals((await store.events({ name: "x" })).map((each) => each.reason), ["Terminated by user"]);
  });
});

Deno.test("ClusterStore events: dedup against the last of their type, newest kept by limit, swept by age", async () => {
  await withDatabase(async (database, _folder, clock) => {
    const store = new ClusterStore(database);
    const key = { name: "x", hash: "h" };
    const add = (reason: string, over = {}) => (clock.now++, store.addEvent(key, { reason, ...over }));
    const dedup = "equal" as const;
    assert(await add("up", { dedup }));
    assertEquals(await add("up", { dedup }), false);
    assert(await add("note", { type: "DEBUG", requestId: "r1" }));
    assertEquals(await add("up", { dedup }), false);
    assert(await add("down", { dedup }));
    assert(await add("up", { dedup }));
    assert(await add("Retrying after 30s", { dedup: /^Retrying/ }));
    assertEquals(await add("Retrying after 60s", { dedup: /^Retrying/ }), false);
    // The same reason at the same time is one event.
    assert(await store.addEvent(key, { reason: "twice" }));
    assertEquals(await store.addEvent(key, { reason: "twice" }), false);
    const reasons = async (options = {}) => (await store.events(key, options)).map((event) => event.reason);
    assertEquals(await reasons(), ["up", "note", "down", "up", "Retrying after 30s", "twice"]);
    assertEquals(await reasons({ limit: 2 }), ["Retrying after 30s", "twice"]);
    assertEquals(await reasons({ types: ["DEBUG"] }), ["note"]);
    assertEquals((await store.events(key, { types: ["DEBUG"] }))[0]?.requestId, "r1");
    const cut = (await store.events(key))[3]?.transitionedAt ?? 0;
    assertEquals(await store.sweepEvents(cut), 3);
    assertEquals(await reasons(), ["up", "Retrying after 30s", "twice"]);
  });
});
