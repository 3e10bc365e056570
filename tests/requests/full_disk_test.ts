/** A disk that is full: new work is refused with a clear code, reading and cancelling go on, nothing is lost. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { SkyError } from "../../core/errors.ts";
import { ann, bench, Held, never, submission, textOf, until } from "./fixture.ts";

Deno.test("Engine on a full database refuses submissions; lists, cancels and ends go on; space heals it", async () => {
  const held = new Held();
  const clock = { now: 1_700_000_000_000 };
  await using b = await bench({ works: { "sky.x": held.work() }, limits: { long: 3 }, now: () => clock.now });
  const ids: string[] = [];
  for (let n = 0; n < 4; n++) ids.push((await b.engine.submit(submission("sky.x"))).id);
  const [one = "", two = "", big = "", waiting = ""] = ids;
  for (const id of [one, two, big]) await held.started(id);
  // The same answer as from a full disk, and only ours: no page more.
  const [row] = await b.database.read<{ page_count: number }>("PRAGMA page_count");
  await b.database.read(`PRAGMA max_page_count = ${row?.page_count}`);
  const filler = submission("sky.x", { body: "x".repeat(200_000) });
  const error = await assertRejects(() => b.engine.submit(filler), SkyError);
  assertEquals(error.code, "disk_full");
  assertEquals((await assertRejects(() => b.engine.submit(submission("sky.x")), SkyError)).code, "disk_full");

  assertEquals((await b.engine.list()).length, 4);
  assertEquals(await b.engine.cancel({ ids: [one, waiting] }, ann), [one, waiting]);
  held.finish(two, "small");
  assertEquals((await b.engine.wait(two, never)).status, "SUCCEEDED");

  // A result that does not fit is not lost: it waits, and says so.
  held.finish(big, "y".repeat(200_000));
  await until(
    "it waits for space",
    async () => (await b.engine.record(big)).statusMessage === "Waiting for space on the server's disk",
  );
  assertEquals((await b.engine.record(big)).status, "RUNNING");
  await b.database.read("PRAGMA max_page_count = 1000000");
  assertEquals((await b.engine.wait(big, never)).result?.length, 200_002);
  clock.now += 1000;
  assert((await b.engine.submit(filler)).created);
});

Deno.test("Engine refuses submissions when a log meets a full disk; that request runs on", async () => {
  const held = new Held();
  const clock = { now: 1_700_000_000_000 };
  await using b = await bench({
    works: {
      "sky.x": async (body, ctx) => {
        await held.work()(body, ctx);
        await ctx.step("print", () => {
          ctx.log.line("hello");
          return Promise.resolve();
        });
      },
    },
    now: () => clock.now,
  });
  const { id } = await b.engine.submit(submission("sky.x"));
  await held.started(id);
  await Deno.symlink("/dev/full", `${b.folder}/${id}.log`);
  held.finish(id);
  assertEquals((await b.engine.wait(id, never)).status, "SUCCEEDED");
  assertEquals((await assertRejects(() => b.engine.submit(submission("sky.x")), SkyError)).code, "disk_full");
  assertEquals(await textOf(b.engine.followLog(id, { offset: 0, signal: never })), "");
  clock.now += 1000;
  assert((await b.engine.submit(submission("sky.x"))).created);
});

Deno.test("Engine on a full disk takes what looks or ends things, and refuses what would grow", async () => {
  const held = new Held();
  const clock = { now: 1_700_000_000_000 };
  await using b = await bench({ works: { "sky.x": held.work() }, now: () => clock.now });
  b.database.space?.report();
  const refused = await assertRejects(() => b.engine.submit(submission("sky.x")), SkyError);
  assertEquals(refused.code, "disk_full");
  for (const over of [{ lane: "short" }, { preempts: true }, { streaming: true }] as const) {
    const { id } = await b.engine.submit(submission("sky.x", over));
    await held.started(id);
    held.finish(id, "seen");
    assertEquals((await b.engine.wait(id, never)).status, "SUCCEEDED");
  }
});
