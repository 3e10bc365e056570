import { assert, assertEquals } from "@std/assert";
import { retentionOf, sweepRequests } from "../../requests/retention.ts";
import { type Bench, bench, Held, never, submission, textOf } from "./fixture.ts";

const HOUR = 60 * 60 * 1000;

async function withFinished(
  body: (b: Bench, parts: { ids: string[]; open: string; clock: { now: number } }) => Promise<void>,
): Promise<void> {
  const held = new Held();
  const clock = { now: 1_700_000_000_000 };
  await using b = await bench({
    works: {
      "sky.x": async (_body, ctx) => {
        ctx.log.line("x".repeat(999));
        await ctx.step("s", () => Promise.resolve(1));
      },
      "sky.held": (body, ctx) => {
        ctx.log.line("open");
        return held.work()(body, ctx);
      },
    },
    now: () => clock.now,
  });
  const open = (await b.engine.submit(submission("sky.held"))).id;
  await held.started(open);
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) {
    clock.now += HOUR;
    const { id } = await b.engine.submit(submission("sky.x"));
    await b.engine.wait(id, never);
    ids.push(id);
  }
  await body(b, { ids, open, clock });
}

const left = async (b: Bench) =>
  (await b.engine.list({ allStatus: true })).map((record) => record.id).reverse();
const logs = (b: Bench) =>
  [...Deno.readDirSync(b.folder)].map((file) => file.name.replace(".log", "")).sort();

Deno.test("sweepRequests removes finished ones by age with logs and steps, never an open one", async () => {
  await withFinished(async (b, { ids, open, clock }) => {
    const parts = { database: b.database, logs: b.logs, folder: b.folder };
    assertEquals(await sweepRequests(parts), { removed: 0 });
    clock.now += 1;
    assertEquals(await sweepRequests(parts, retentionOf(5)), { removed: 5 });
    assertEquals(await left(b), [open, ...ids.slice(5)]);
    assertEquals(logs(b), [open, ...ids.slice(5)].sort());
    assertEquals((await b.database.read("SELECT * FROM steps")).length, 5);
    clock.now += 1000 * HOUR;
    assertEquals(await sweepRequests(parts, retentionOf(-1)), { removed: 0 });
    assertEquals(await sweepRequests(parts, retentionOf(undefined)), { removed: 5 });
    assertEquals(await left(b), [open]);
    assertEquals(logs(b), [open]);
  });
});

Deno.test("sweepRequests removes the oldest until all logs fit, and logs that a crash has orphaned", async () => {
  await withFinished(async (b, { ids, open }) => {
    const orphan = crypto.randomUUID();
    await Deno.writeTextFile(`${b.folder}/${orphan}.log`, "left behind\n");
    await Deno.writeTextFile(`${b.folder}/notes.txt`, "not ours");
    const follower = b.engine.followLog(ids[9] ?? "", { offset: 0, signal: never });
    const parts = { database: b.database, logs: b.logs, folder: b.folder };
    assertEquals(await sweepRequests(parts, { maxAgeMs: -1, maxLogBytes: 3500 }), { removed: 7 });
    assertEquals(await left(b), [open, ...ids.slice(7)]);
    assertEquals(logs(b), [open, ...ids.slice(7), "notes.txt"].sort());
    assertEquals((await textOf(follower)).length, 1000);
    const controller = new AbortController();
    controller.abort();
    assertEquals(await sweepRequests({ ...parts, signal: controller.signal }, { maxLogBytes: 0 }), {
      removed: 0,
    });
    assertEquals(await sweepRequests(parts, { maxLogBytes: 0 }), { removed: 3 });
    assert((await left(b)).length === 1);
  });
});
