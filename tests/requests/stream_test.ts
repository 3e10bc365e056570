/** Logs of requests through the engine: live, from any byte, to many, over the end. */
import { assert, assertEquals } from "@std/assert";
import { ann, bench, Held, never, submission, textOf, until } from "./fixture.ts";

Deno.test("Engine.followLog follows one that still waits, through its run, to its end", async () => {
  const held = new Held();
  await using b = await bench({
    works: {
      "sky.blocker": held.work(),
      "sky.x": async (_body, ctx) => {
        for (let n = 0; n < 50; n++) {
          ctx.log.line(`line ${n}`);
          if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        }
      },
    },
    limits: { long: 1 },
  });
  const blocker = (await b.engine.submit(submission("sky.blocker"))).id;
  const { id } = await b.engine.submit(submission("sky.x"));
  const early = Array.from(
    { length: 20 },
    () => textOf(b.engine.followLog(id, { offset: 0, signal: never })),
  );
  await held.started(blocker);
  held.finish(blocker);
  const expected = Array.from({ length: 50 }, (_, n) => `line ${n}\n`).join("");
  for (const text of await Promise.all(early)) assertEquals(text, expected);
  const record = await b.engine.wait(id, never);
  assertEquals(record.status, "SUCCEEDED");
  assertEquals(await textOf(b.engine.followLog(id, { offset: 7, signal: never })), expected.slice(7));
  assertEquals(await textOf(b.engine.followLog(id, { offset: 9999, signal: never })), "");
});

Deno.test("Engine.followLog: when it ends, the record is final; asked at any moment, it ends", async () => {
  await using b = await bench({
    works: {
      "sky.x": (_body, ctx) => {
        ctx.log.line("only");
        return Promise.resolve();
      },
    },
  });
  await Promise.all(Array.from({ length: 100 }, async (_, n) => {
    const { id } = await b.engine.submit(submission("sky.x"));
    for (let turn = 0; turn < n % 7; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(await textOf(b.engine.followLog(id, { offset: 0, signal: never })), "only\n");
    assertEquals((await b.engine.record(id)).status, "SUCCEEDED");
  }));
  await until("nothing is kept", () => b.logs.size === 0);
});

Deno.test("Engine.followLog ends for the followers of a cancelled one, waiting or running", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() }, limits: { long: 1 } });
  const ids: string[] = [];
  for (let n = 0; n < 2; n++) ids.push((await b.engine.submit(submission("sky.x"))).id);
  await held.started(ids[0] ?? "");
  const followers = ids.map((id) => textOf(b.engine.followLog(id, { offset: 0, signal: never })));
  assertEquals((await b.engine.cancel({ all: true }, ann)).length, 2);
  assertEquals(await Promise.all(followers), ["", ""]);
  await until("nothing is kept", () => b.logs.size === 0);
});

Deno.test("Engine.followLog of a client that leaves does not touch the request", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() } });
  const { id } = await b.engine.submit(submission("sky.x"));
  const ctx = await held.started(id);
  const controller = new AbortController();
  const leaving = b.engine.followLog(id, { offset: 0, signal: controller.signal });
  ctx.log.line("a");
  const reader = leaving.getReader();
  await reader.read();
  controller.abort();
  assertEquals((await reader.read()).done, true);
  ctx.log.line("b");
  held.finish(id);
  assertEquals((await b.engine.wait(id, never)).status, "SUCCEEDED");
  assert((await textOf(b.engine.followLog(id, { offset: 0, signal: never }))) === "a\nb\n");
});
