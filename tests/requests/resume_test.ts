/** Restarts: what a drain leaves, what the next start does with it, and that a resumed run repeats nothing. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Context } from "../../core/context.ts";
import { isSkyError, SkyError } from "../../core/errors.ts";
import { ann, bench, type BenchOptions, Held, never, submission, textOf, until } from "./fixture.ts";

/** Leaves the rows as a kill would: nothing of the engine gets to write any more. */
async function killed(options: BenchOptions, body: (b: Awaited<ReturnType<typeof bench>>) => Promise<void>) {
  const b = await bench(options);
  await body(b);
  const copy = await Deno.makeTempDir({ prefix: "sky-killed-" });
  await b.database.checkpoint();
  await Deno.copyFile(`${b.home}/sky.db`, `${copy}/sky.db`);
  await Deno.mkdir(`${copy}/requests`);
  for await (const file of Deno.readDir(b.folder)) {
    await Deno.copyFile(`${b.folder}/${file.name}`, `${copy}/requests/${file.name}`);
  }
  await b[Symbol.asyncDispose]();
  return copy;
}

Deno.test("Engine.start resumes a long one from its journal, and its log says everything once", async () => {
  const ran: string[] = [];
  let stuck = true;
  const gate = Promise.withResolvers<void>();
  const launch = async (_body: unknown, ctx: Context) => {
    ctx.log.line("launching");
    const made = await ctx.step("make", () => {
      ran.push("make");
      ctx.log.line("made");
      return Promise.resolve({ at: 1, gone: undefined });
    });
    assertEquals(made, { at: 1 } as typeof made);
    ctx.log.line("then");
    assertEquals(await ctx.step("nothing", () => Promise.resolve()), undefined);
    await ctx.step("setup", async () => {
      ran.push("setup");
      ctx.log.line("setting up");
      ctx.log.line(stuck ? "part one, first time" : "part one, second time");
      if (stuck) await gate.promise;
    });
    ctx.log.line("ready");
    return made;
  };
  const options = { works: { "sky.launch": launch } };
  let id = "";
  const home = await killed(options, async (b) => {
    id = (await b.engine.submit(submission("sky.launch"))).id;
    await until("it is stuck", () => b.engine.log(id).size() > 50);
    await b.engine.log(id).flush();
    gate.promise.catch(() => undefined);
  });
  stuck = false;
  gate.resolve();
  ran.length = 0;
  await using b = await bench({ ...options, home });
  const record = await b.engine.wait(id, never);
  assertEquals([record.status, record.attempts, record.result], ["SUCCEEDED", 2, '{"at":1}']);
  assertEquals(ran, ["setup"]);
  assertEquals(
    await textOf(b.engine.followLog(id, { offset: 0, signal: never })),
    "launching\nmade\nthen\nsetting up\npart one, first time\npart one, second time\nready\n",
  );
});

Deno.test("Engine.start completes a line that the kill has torn", async () => {
  const gate = Promise.withResolvers<void>();
  const options = {
    works: {
      "sky.x": async (_body: unknown, ctx: Context) => {
        ctx.log.line("first");
        ctx.log.line("second");
        await gate.promise;
        ctx.log.line("third");
      },
    },
  };
  const ids: string[] = [];
  const home = await killed(options, async (b) => {
    for (let n = 0; n < 2; n++) ids.push((await b.engine.submit(submission("sky.x"))).id);
    for (const id of ids) await until("it printed", () => b.engine.log(id).size() === 13);
  });
  gate.resolve();
  const [same = "", other = ""] = ids;
  await Deno.writeTextFile(`${home}/requests/${same}.log`, "first\nsec");
  await Deno.writeTextFile(`${home}/requests/${other}.log`, "first\nxyz");
  await using b = await bench({ ...options, home });
  await Promise.all(ids.map((id) => b.engine.wait(id, never)));
  const read = (id: string) => textOf(b.engine.followLog(id, { offset: 0, signal: never }));
  assertEquals(await read(same), "first\nsecond\nthird\n");
  assertEquals(await read(other), "first\nxyz\nsecond\nthird\n");
});

Deno.test("Engine.start ends what cannot be resumed with a reason and a hint, streams as CANCELLED", async () => {
  const held = new Held();
  const proven: string[] = [];
  const options = { works: { "sky.x": held.work() }, limits: { long: 2, attempts: 3 } };
  const ids: Record<string, string> = {};
  const home = await killed(options, async (b) => {
    const submit = async (key: string, over: Parameters<typeof submission>[1]) => {
      ids[key] = (await b.engine.submit(submission("sky.x", over))).id;
    };
    await submit("once", { resumable: false });
    await submit("again", {});
    await submit("stream", { streaming: true, resumable: false });
    await submit("waiting", { resumable: false });
    for (const key of ["once", "again", "stream"]) await held.started(ids[key] ?? "");
  });
  const rested = new Held();
  await using b = await bench({
    ...options,
    works: { "sky.x": rested.work() },
    home,
    proveDead: (id) => Promise.resolve(void proven.push(id)),
  });
  const status = async (key: string) => (await b.engine.record(ids[key] ?? "")).status;
  assertEquals(await status("once"), "FAILED");
  const { error } = await b.engine.record(ids["once"] ?? "");
  assertEquals(error?.code, "request_interrupted");
  assertEquals(error?.message, "'sky.x' was interrupted by a restart of the server");
  assert(error?.hint?.includes("Run the command again"));
  assertEquals(await status("stream"), "CANCELLED");
  await rested.started(ids["again"] ?? "");
  await rested.started(ids["waiting"] ?? "");
  assertEquals((await b.engine.record(ids["waiting"] ?? "")).attempts, 1);
  assertEquals(proven.toSorted(), [ids["once"], ids["again"], ids["stream"]].map(String).toSorted());
  for (const key of ["once", "again", "stream", "waiting"]) rested.finish(ids[key] ?? "");
  assertEquals((await b.engine.wait(ids["again"] ?? "", never)).attempts, 2);
});

Deno.test("Engine.start gives up one that was running at every end of the server", async () => {
  const held = new Held();
  const options = { works: { "sky.x": held.work() }, limits: { attempts: 1 } };
  let id = "";
  const home = await killed(options, async (b) => {
    id = (await b.engine.submit(submission("sky.x"))).id;
    await held.started(id);
  });
  await using b = await bench({ ...options, home });
  const record = await b.engine.wait(id, never);
  assertEquals(record.status, "FAILED");
  assertEquals(
    record.error?.message,
    "'sky.x' was started 1 times and the server ended each time before it was done",
  );
});

Deno.test("Engine.start finishes a cancel that the end of the server cut short", async () => {
  const held = new Held();
  const options = { works: { "sky.x": held.work({ obeys: false }) }, limits: { cancelMs: 20 } };
  let id = "";
  const home = await killed(options, async (b) => {
    id = (await b.engine.submit(submission("sky.x"))).id;
    await held.started(id);
    assertEquals(await b.engine.cancel({ ids: [id] }, ann), []);
  });
  await using b = await bench({ ...options, home });
  assertEquals((await b.engine.record(id)).status, "CANCELLED");
});

Deno.test("Engine.start keeps the order at a cluster's lock, and recovers 2,000 requests within a second", async () => {
  const held = new Held();
  const options: BenchOptions = { works: { "sky.x": held.work(), "sky.fast": () => Promise.resolve() } };
  const ids: string[] = [];
  const home = await killed(options, async (b) => {
    const on = { clusterName: "c", lock: true };
    await Promise.all(Array.from({ length: 2000 }, async () => {
      ids.push((await b.engine.submit(submission("sky.x", on))).id);
    }));
    await held.started(ids[0] ?? "");
  });
  const order: string[] = [];
  const works = { "sky.x": (_: unknown, ctx: Context) => Promise.resolve(order.push(ctx.requestId)) };
  const start = performance.now();
  await using b = await bench({ ...options, works, home });
  assert(performance.now() - start < 1000);
  await b.engine.wait(ids.at(-1) ?? "", never);
  assertEquals(order, ids);
});

Deno.test("Engine.start does not wait for processes that take long to die, says so, and goes on beside it", async () => {
  const held = new Held();
  const options: BenchOptions = { works: { "sky.x": held.work() } };
  let id = "";
  const home = await killed(options, async (b) => {
    id = (await b.engine.submit(submission("sky.x"))).id;
    await held.started(id);
  });
  const death = Promise.withResolvers<void>();
  const rested = new Held();
  await using b = await bench({ works: { "sky.x": rested.work() }, home, proveDead: () => death.promise });
  assertEquals((await b.engine.record(id)).statusMessage, "Cleaning up after a restart of the server");
  assertEquals((await b.engine.record(id)).status, "RUNNING");
  death.resolve();
  await rested.started(id);
  rested.finish(id, 5);
  assertEquals((await b.engine.wait(id, never)).result, "5");
});

Deno.test("Engine.drain lets short work finish, leaves long work for the next start, ends streams", async () => {
  const held = new Held();
  const reasons: unknown[] = [];
  const options: BenchOptions = {
    works: {
      "sky.long": (body, ctx) => {
        ctx.signal.addEventListener("abort", () => reasons.push(ctx.signal.reason));
        return held.work()(body, ctx);
      },
      "sky.short": held.work(),
      "sky.logs": held.work(),
    },
    limits: { long: 1 },
  };
  const first = await bench(options);
  const submit = async (name: string, over = {}) => (await first.engine.submit(submission(name, over))).id;
  const long = await submit("sky.long");
  const waiting = await submit("sky.long");
  const short = await submit("sky.short", { lane: "short" });
  const slow = await submit("sky.short", { lane: "short", resumable: false });
  const stream = await submit("sky.logs", { lane: "short", streaming: true, resumable: false });
  for (const id of [long, short, slow, stream]) await held.started(id);
  const follower = textOf(first.engine.followLog(long, { offset: 0, signal: never }));
  const waiter = assertRejects(() => first.engine.wait(long, never), SkyError, "The server is stopping");
  const restarting = first.restart(400);
  const refused = await assertRejects(() => first.engine.submit(submission("sky.short")), SkyError);
  assertEquals(refused.code, "server_busy");
  held.finish(short, "in time");
  assertEquals(await follower, "");
  await waiter;
  await using second = await restarting;
  assert(isSkyError(reasons[0], "request_interrupted") && reasons[0].details["reason"] === "drain");
  assertEquals((await second.engine.record(short)).result, '"in time"');
  assertEquals((await second.engine.record(slow)).error?.code, "request_interrupted");
  assertEquals((await second.engine.record(stream)).status, "CANCELLED");
  const counts = second.engine.counts();
  assertEquals(counts.waiting + counts.running, 2);
  assertEquals((await second.engine.list()).map((record) => record.id), [waiting, long]);
});

Deno.test("Context.step shares, repeats after failure, and refuses once the request is told to stop", async () => {
  let runs = 0;
  const late = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  let ran = 0;
  await using b = await bench({
    works: {
      "sky.x": async (_body, ctx) => {
        const both = await Promise.all([1, 2].map(() =>
          ctx.step("shared", async () => {
            await new Promise((resolve) => setTimeout(resolve, 5));
            return ++runs;
          })
        ));
        assertEquals(both, [1, 1]);
        assertEquals(await ctx.step("shared", () => Promise.resolve(9)), 1);
        await assertRejects(() => ctx.step("bad", () => Promise.reject(new Error("no"))), Error, "no");
        assertEquals(await ctx.step("bad", () => Promise.resolve("yes")), "yes");
        return both;
      },
      "sky.cut": async (_body, ctx) => {
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        await ctx.step("after", () => Promise.resolve()).catch((error: unknown) => seen.push(error));
        ctx.signal.throwIfAborted();
      },
      "sky.leaky": (_body, ctx) => {
        void late.promise.then(async () => {
          await ctx.step("beyond", () => Promise.resolve(ran++)).catch((error: unknown) => seen.push(error));
          try {
            ctx.log.line("from beyond");
          } catch (error) {
            seen.push(error);
          }
        });
        return Promise.resolve("ok");
      },
    },
  });
  const one = await b.engine.wait((await b.engine.submit(submission("sky.x"))).id, never);
  assertEquals([one.status, one.result], ["SUCCEEDED", "[1,1]"]);
  const cut = (await b.engine.submit(submission("sky.cut"))).id;
  await until("it runs", async () => (await b.engine.record(cut)).status === "RUNNING");
  assertEquals(await b.engine.cancel({ ids: [cut] }, ann), [cut]);
  const leaky = (await b.engine.submit(submission("sky.leaky"))).id;
  await b.engine.wait(leaky, never);
  late.resolve();
  await until("it was refused", () => seen.length === 3);
  assertEquals(ran, 0);
  assert(seen.every((error) => isSkyError(error, "request_cancelled")));
  assertEquals(await textOf(b.engine.followLog(leaky, { offset: 0, signal: never })), "");
});
