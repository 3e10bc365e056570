import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { SkyError } from "../../core/errors.ts";
import { ann, bench, bob, Held, never, submission, textOf, until } from "./fixture.ts";

Deno.test("Engine.submit runs the work with its context and keeps its result and log", async () => {
  await using b = await bench({
    works: {
      "sky.echo": (body, ctx) => {
        ctx.log.line("hello");
        ctx.log.status("[bold]busy[/]");
        return Promise.resolve({
          body,
          user: ctx.user,
          env: ctx.env,
          command: ctx.command,
          workspace: ctx.workspace,
        });
      },
    },
  });
  const { id, created } = await b.engine.submit(
    submission("sky.echo", { body: { a: 1 }, env: { SKYPILOT_X: "1" } }),
  );
  assert(created);
  const record = await b.engine.wait(id, never);
  assertEquals(record.status, "SUCCEEDED");
  assertEquals(JSON.parse(record.result ?? ""), {
    body: { a: 1 },
    user: ann,
    env: { SKYPILOT_X: "1" },
    command: "sky sky.echo",
    workspace: "default",
  });
  assertEquals(record.attempts, 1);
  assert((record.startedAt ?? 0) >= record.createdAt && (record.finishedAt ?? 0) >= (record.startedAt ?? 0));
  assertEquals(
    await textOf(b.engine.followLog(id, { offset: 0, signal: never })),
    "hello\n<status [bold]busy[/]>\n",
  );
  assertEquals(b.logs.size, 0);
});

Deno.test("Engine keeps a SkyError whole, a bug with its stack, and both in the right place", async () => {
  await using b = await bench({
    works: {
      "sky.known": () =>
        Promise.reject(
          new SkyError("cluster_not_found", "no such", { hint: "sky status", details: { a: 1 } }),
        ),
      "sky.bug": () => Promise.reject(new TypeError("oops")),
      "sky.cycle": () => Promise.resolve(1n),
    },
  });
  const known = await b.engine.wait((await b.engine.submit(submission("sky.known"))).id, never);
  assertEquals(known.error, {
    code: "cluster_not_found",
    message: "no such",
    hint: "sky status",
    details: { a: 1 },
  });
  const bug = await b.engine.wait((await b.engine.submit(submission("sky.bug"))).id, never);
  assertEquals([bug.status, bug.error?.code, bug.error?.message], ["FAILED", "internal", "oops"]);
  assertMatch(bug.error?.stack ?? "", /TypeError: oops\n.*engine_test/);
  assertStringIncludes(
    await textOf(b.engine.followLog(bug.id, { offset: 0, signal: never })),
    "TypeError: oops",
  );
  assertEquals(b.errors.length, 1);
  const cycle = await b.engine.wait((await b.engine.submit(submission("sky.cycle"))).id, never);
  assertEquals([cycle.status, cycle.error?.code], ["FAILED", "internal"]);
  const unknown = await b.engine.wait((await b.engine.submit(submission("sky.unknown"))).id, never);
  assertEquals([unknown.status, unknown.error?.message], ["FAILED", "no work for sky.unknown"]);
});

Deno.test("Engine.submit gives the same id for the same user and key, also at once and after the end", async () => {
  let runs = 0;
  await using b = await bench({
    works: { "sky.once": () => Promise.resolve(++runs), "sky.other": () => Promise.resolve() },
  });
  const once = () => b.engine.submit(submission("sky.once", { idempotencyKey: "k1" }));
  const answers = await Promise.all(Array.from({ length: 50 }, once));
  const [first] = answers;
  assert(first !== undefined);
  assertEquals(new Set(answers.map((each) => each.id)).size, 1);
  assertEquals(answers.filter((each) => each.created).length, 1);
  await b.engine.wait(first.id, never);
  assertEquals(await once(), { id: first.id, created: false });
  assertEquals(runs, 1);
  const other = await b.engine.submit(submission("sky.once", { idempotencyKey: "k1", user: bob }));
  assert(other.created && other.id !== first.id);
  const error = await assertRejects(
    () => b.engine.submit(submission("sky.other", { idempotencyKey: "k1" })),
    SkyError,
    "belongs to 'sky.once'",
  );
  assertEquals(error.code, "invalid_argument");
});

Deno.test("Engine shows the redacted body only, and forgets body, env and config at the end", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() } });
  const { id } = await b.engine.submit(submission("sky.x", {
    body: { secret: "hunter2", name: "n" },
    env: { TOKEN: "hunter2" },
    config: { k: "hunter2" },
    redact: () => ({ secret: "<redacted>", name: "n" }),
  }));
  await held.started(id);
  assertEquals(JSON.parse((await b.engine.record(id)).body), { secret: "<redacted>", name: "n" });
  held.finish(id);
  const record = await b.engine.wait(id, never);
  assertEquals(JSON.parse(record.body), { secret: "<redacted>", name: "n" });
  const [row] = await b.database.read<Record<string, unknown>>("SELECT body, env, config FROM requests");
  assertEquals(row, { body: null, env: null, config: null });
  await b.database.checkpoint();
  const bytes = new TextDecoder("latin1").decode(await Deno.readFile(`${b.home}/sky.db`));
  assert(!bytes.includes("hunter2"));
});

Deno.test("Engine.wait gives up with its signal's reason and leaves nothing behind", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() } });
  const { id } = await b.engine.submit(submission("sky.x"));
  const controller = new AbortController();
  const waiting = b.engine.wait(id, controller.signal);
  controller.abort(new Error("client left"));
  await assertRejects(() => waiting, Error, "client left");
  held.finish(id, 7);
  assertEquals((await b.engine.wait(id, never)).result, "7");
  await assertRejects(() => b.engine.wait("nope", never), SkyError, "Request 'nope' not found");
});

Deno.test("Engine.resolve takes full ids and unique prefixes, lists ambiguous ones, knows no wildcards", async () => {
  await using b = await bench({ works: { "sky.x": () => Promise.resolve() } });
  const ids: string[] = [];
  for (let n = 0; n < 40; n++) ids.push((await b.engine.submit(submission("sky.x"))).id);
  const [id = ""] = ids;
  assertEquals(await b.engine.resolve(id), id);
  assertEquals(await b.engine.resolve(id.slice(0, 18)), id);
  const digit = ids.map((each) => each[0]).find((each, at, all) => all.indexOf(each) !== at) ?? "";
  const error = await assertRejects(() => b.engine.resolve(digit), SkyError, "Multiple requests found");
  assertEquals(error.code, "request_ambiguous");
  const matches = ids.filter((each) => each.startsWith(digit)).sort();
  assertStringIncludes(error.message, matches[0] ?? "?");
  assertStringIncludes(error.message, matches[1] ?? "?");
  for (const bad of ["", "%", "_", "zzz", `${id}x`]) {
    assertEquals((await assertRejects(() => b.engine.resolve(bad), SkyError)).code, "request_not_found");
  }
});

Deno.test("Engine.list pages through everything newest first, filters, and finds by prefixes", async () => {
  const held = new Held();
  await using b = await bench({
    works: { "sky.x": () => Promise.resolve({ big: 1 }), "sky.held": held.work() },
  });
  const ids: string[] = [];
  await Promise.all(Array.from({ length: 1203 }, async (_, n) => {
    const over = n % 3 === 0 ? { clusterName: "c1", user: bob } : {};
    ids.push((await b.engine.submit(submission("sky.x", over))).id);
  }));
  await until("all are done", () => b.engine.counts().running + b.engine.counts().waiting === 0, 20_000);
  const open = (await b.engine.submit(submission("sky.held", { clusterName: "c1" }))).id;
  assertEquals((await b.engine.list()).map((each) => each.id), [open]);
  const all = await b.engine.list({ allStatus: true });
  assertEquals(all.map((each) => each.id), [open, ...ids.toReversed()]);
  assertEquals(
    (await b.engine.list({ allStatus: true, limit: 2 })).map((each) => each.id),
    all.slice(0, 2).map((e) => e.id),
  );
  assertEquals((await b.engine.list({ allStatus: true, clusterName: "c1" })).length, 402);
  assertEquals((await b.engine.list({ allStatus: true, userId: bob.id })).length, 401);
  const brief = (await b.engine.list({ allStatus: true, brief: true, limit: 2 }))[1];
  assertEquals([brief?.body, brief?.result], ["null", null]);
  assertEquals(
    (await b.engine.list({ ids: [ids[5] ?? "", (ids[6] ?? "").slice(0, 20), "nope"] })).map((e) => e.id),
    [
      ids[5],
      ids[6],
    ],
  );
  held.finish(open);
});

Deno.test("Engine.log refuses ids that lead out of the folder", async () => {
  await using b = await bench({ works: {} });
  for (const id of ["../secret", "a/b", "", ".."]) {
    assertEquals(
      (await assertRejects(async () => await b.engine.log(id), SkyError)).code,
      "request_not_found",
    );
  }
});
