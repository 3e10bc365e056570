import { assert, assertEquals, assertMatch } from "@std/assert";
import { Lane } from "../../requests/lane.ts";
import { Locks } from "../../requests/locks.ts";
import { ann, bench, bob, Held, never, submission, until } from "./fixture.ts";

const cid: { id: string; name: string } = { id: "c0000003", name: "cid" };

Deno.test("Lane serves users in turns when full, each in its own order", () => {
  const lane = new Lane({ limit: 1 });
  const served: string[] = [];
  const enter = (id: string, user: string) => {
    const ticket = lane.enter(id, user);
    void ticket.ready.then((yes) => yes && served.push(id));
    return ticket;
  };
  const tickets = new Map(
    ["a1", "a2", "a3", "a4", "b1", "b2", "c1"].map((id) => [id, enter(id, id[0] ?? "")]),
  );
  assertEquals([...lane.positions()], [["a2", 0], ["b1", 1], ["c1", 2], ["a3", 3], ["b2", 4], ["a4", 5]]);
  const order: string[] = [];
  for (let n = 0; n < 7; n++) {
    const id = [...tickets].find(([, ticket]) => ticket.served)?.[0] ?? "";
    order.push(id);
    tickets.get(id)?.leave();
    tickets.get(id)?.leave();
    tickets.delete(id);
  }
  assertEquals(order, ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
  assertEquals(lane.positions().size, 0);
});

Deno.test("Lane holds a user to its share and lets the next one by", () => {
  const lane = new Lane({ limit: 3, perUser: 2 });
  const a = ["a1", "a2", "a3"].map((id) => lane.enter(id, "a"));
  const b = lane.enter("b1", "b");
  assertEquals([...a, b].map((ticket) => ticket.served), [true, true, false, true]);
  b.leave();
  assertEquals(a[2]?.served, false);
  a[0]?.leave();
  assertEquals(a[2]?.served, true);
});

Deno.test("Lane places left while waiting are never served", async () => {
  const lane = new Lane({ limit: 1 });
  const [first, second, third] = ["1", "2", "3"].map((id) => lane.enter(id, "a"));
  second?.leave();
  assertEquals(await second?.ready, false);
  first?.leave();
  assertEquals(await third?.ready, true);
});

Deno.test("Locks serve one at a time in order, whoever leaves", async () => {
  const locks = new Locks();
  const [a, b, c] = ["a", "b", "c"].map((id) => locks.enter("x", id));
  const other = locks.enter("y", "d");
  assertEquals([a?.served, b?.served, c?.served, other.served], [true, false, false, true]);
  assertEquals(locks.before("x", "c"), ["a", "b"]);
  b?.leave();
  assertEquals(await b?.ready, false);
  assertEquals(locks.before("x", "c"), ["a"]);
  a?.leave();
  assertEquals(await c?.ready, true);
  c?.leave();
  assertEquals(locks.enter("x", "e").served, true);
});

Deno.test("Engine runs locking requests of a cluster alone and in order, others meanwhile", async () => {
  let inside = 0;
  const order: number[] = [];
  await using b = await bench({
    works: {
      "sky.launch": async (body) => {
        assertEquals(++inside, 1);
        order.push(body as number);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside--;
      },
      "sky.queue": () => Promise.resolve(inside),
    },
    limits: { long: 4 },
  });
  const on = { clusterName: "c", lock: true };
  const ids = await Promise.all(
    Array.from(
      { length: 30 },
      async (_, n) => (await b.engine.submit(submission("sky.launch", { ...on, body: n }))).id,
    ),
  );
  const free = await b.engine.submit(submission("sky.queue", { clusterName: "c", lane: "short" }));
  await b.engine.wait(free.id, never);
  for (const id of ids) assertEquals((await b.engine.wait(id, never)).status, "SUCCEEDED");
  assertEquals(order, Array.from({ length: 30 }, (_, n) => n));
});

Deno.test("Engine: one that waits for its cluster holds no place in the lane", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() }, limits: { long: 2 } });
  const on = { clusterName: "c", lock: true };
  const first = await b.engine.submit(submission("sky.x", on));
  await Promise.all(Array.from({ length: 5 }, () => b.engine.submit(submission("sky.x", on))));
  const free = await b.engine.submit(submission("sky.x"));
  await held.started(first.id);
  await held.started(free.id);
  assertEquals(b.engine.counts(), { waiting: 5, running: 2 });
});

Deno.test("Engine: short requests never wait for long ones, streams and cancels for neither", async () => {
  const held = new Held();
  await using b = await bench({
    works: { "sky.x": held.work(), "sky.quick": () => Promise.resolve(1) },
    limits: { long: 2, short: 2 },
  });
  for (let n = 0; n < 6; n++) await b.engine.submit(submission("sky.x"));
  const short = await b.engine.submit(submission("sky.quick", { lane: "short" }));
  assertEquals((await b.engine.wait(short.id, never)).status, "SUCCEEDED");
  for (let n = 0; n < 6; n++) await b.engine.submit(submission("sky.x", { lane: "short" }));
  await until("both lanes are full", () => b.engine.counts().running === 4);
  for (const over of [{ streaming: true }, { control: true }]) {
    const { id } = await b.engine.submit(submission("sky.quick", { lane: "short", ...over }));
    assertEquals((await b.engine.wait(id, never)).status, "SUCCEEDED");
  }
});

Deno.test("Engine: the long lane takes turns between users", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() }, limits: { long: 1 } });
  const mine: string[] = [];
  for (let n = 0; n < 20; n++) mine.push((await b.engine.submit(submission("sky.x"))).id);
  const his = (await b.engine.submit(submission("sky.x", { user: bob }))).id;
  const other = (await b.engine.submit(submission("sky.x", { user: cid }))).id;
  await held.started(mine[0] ?? "");
  assertEquals(b.engine.position(mine[0] ?? ""), null);
  assertEquals(b.engine.position(mine[1] ?? "")?.ahead, 0);
  assertEquals(b.engine.position(his), { ahead: 1, reason: "All 1 places for long requests are taken" });
  assertEquals(b.engine.position(mine[2] ?? "")?.ahead, 3);
  const record = await b.engine.record(mine[2] ?? "");
  assertEquals(record.statusMessage, "All 1 places for long requests are taken (3 ahead)");
  const order: string[] = [];
  for (let n = 0; n < 5; n++) {
    await until("the next runs", () => held.ids.length === n + 1);
    order.push(held.ids[n] ?? "");
    held.finish(held.ids[n] ?? "");
  }
  assertEquals(order, [mine[0], mine[1], his, other, mine[2]].map((id) => id ?? ""));
});

Deno.test("Engine.position says who holds the cluster and how many come before", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.launch": held.work(), "sky.exec": held.work() } });
  const on = { clusterName: "c1", lock: true };
  const first = await b.engine.submit(submission("sky.launch", on));
  const second = await b.engine.submit(submission("sky.exec", on));
  const third = await b.engine.submit(submission("sky.exec", on));
  await held.started(first.id);
  const reason = `Waiting for 'sky.launch' request ${first.id.slice(0, 8)} on cluster 'c1' to finish`;
  assertEquals(b.engine.position(second.id), { ahead: 1, reason });
  assertEquals(b.engine.position(third.id), { ahead: 2, reason });
  const listed = await b.engine.list({ clusterName: "c1" });
  assertEquals(listed.map((record) => record.statusMessage), [`${reason} (2 ahead)`, reason, null]);
  held.finish(first.id);
  await held.started(second.id);
  assertEquals(b.engine.position(third.id)?.ahead, 1);
  assertEquals(b.engine.position("unknown"), null);
});

Deno.test("Engine: a preempting request first cancels all earlier ones on its cluster, not its own kind, not later ones", async () => {
  const held = new Held();
  const proven = new Set<string>();
  let alive = 0;
  await using b = await bench({
    works: {
      "sky.launch": async (body, ctx) => {
        alive++;
        try {
          return await held.work()(body, ctx);
        } finally {
          await new Promise((resolve) => setTimeout(resolve, 20)); // its clean-up
          alive--;
        }
      },
      "sky.exec": held.work(),
      "sky.queue": held.work(),
      "sky.down": () => Promise.resolve(alive),
    },
    proveDead: (id) => Promise.resolve(void proven.add(id)),
  });
  const on = (name: string, over = {}) =>
    b.engine.submit(submission(name, { clusterName: "c", lock: true, ...over }));
  const running = await on("sky.launch");
  const waiting = await on("sky.exec");
  const free = await on("sky.queue", { lock: false, lane: "short" });
  const elsewhere = await on("sky.launch", { clusterName: "d" });
  await Promise.all([running, free, elsewhere].map(({ id }) => held.started(id)));
  const down = { lane: "short" as const, preempts: true };
  const [one, two] = await Promise.all([on("sky.down", down), on("sky.down", down)]);
  const later = await on("sky.launch");
  assertMatch(
    b.engine.position(one.id)?.reason ?? "",
    /^Waiting for \d other requests? on cluster 'c' to be cancelled$/,
  );
  for (const { id } of [one, two]) {
    const record = await b.engine.wait(id, never);
    assertEquals([record.status, record.result], ["SUCCEEDED", "1"]); // only the one elsewhere is alive
  }
  for (const { id } of [running, waiting, free]) {
    assertEquals((await b.engine.wait(id, never)).status, "CANCELLED");
  }
  assert(proven.has(running.id) && proven.has(free.id));
  await held.started(later.id);
  assertEquals((await b.engine.record(elsewhere.id)).status, "RUNNING");
  held.finish(later.id);
  assertEquals((await b.engine.wait(later.id, never)).status, "SUCCEEDED");
});

Deno.test("Engine: a preempting request that waits for the dying can itself be cancelled", async () => {
  const held = new Held();
  await using b = await bench({
    works: { "sky.launch": held.work({ obeys: false }), "sky.down": () => Promise.resolve() },
    limits: { cancelMs: 30 },
  });
  const on = { clusterName: "c", lock: true };
  const launch = await b.engine.submit(submission("sky.launch", on));
  await held.started(launch.id);
  const down = await b.engine.submit(submission("sky.down", { ...on, lane: "short", preempts: true }));
  await until("the launch ignores it", async () => (await b.engine.record(launch.id)).statusMessage !== null);
  assertEquals((await b.engine.record(down.id)).status, "PENDING");
  assertEquals(await b.engine.cancel({ ids: [down.id] }, ann), [down.id]);
  held.finish(launch.id);
  assertEquals((await b.engine.wait(launch.id, never)).status, "CANCELLED");
});

Deno.test("Engine refuses more open requests and streams than it can carry", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() }, limits: { open: 3, streaming: 1 } });
  const refused = (over = {}) =>
    b.engine.submit(submission("sky.x", over)).then(() => "", (error: { code: string }) => error.code);
  assertEquals(await refused({ streaming: true }), "");
  assertEquals(await refused({ streaming: true }), "server_busy");
  assertEquals(await refused(), "");
  assertEquals(await refused(), "");
  assertEquals(await refused(), "server_busy");
  await b.engine.cancel({ all: true }, ann);
  assertEquals(await refused(), "");
});
