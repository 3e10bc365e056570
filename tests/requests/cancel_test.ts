/** The cancel matrix: where the request stands × how it is cancelled. Counts are exact, final states are written once. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { isSkyError, SkyError } from "../../core/errors.ts";
import type { RequestStatus } from "../../core/request.ts";
import type { CancelFilter } from "../../requests/engine.ts";
import { ann, type Bench, bench, bob, Held, never, submission, until } from "./fixture.ts";

type Stand = "in a lane" | "behind a lock" | "starting" | "running" | "ignoring" | "finishing" | "finished";
type Way = "single" | "double" | "by user" | "by prefix";

const EXPECTED: Record<Stand, { cancelled: boolean; status: RequestStatus }> = {
  "in a lane": { cancelled: true, status: "CANCELLED" },
  "behind a lock": { cancelled: true, status: "CANCELLED" },
  "starting": { cancelled: true, status: "CANCELLED" },
  "running": { cancelled: true, status: "CANCELLED" },
  "ignoring": { cancelled: false, status: "RUNNING" },
  "finishing": { cancelled: false, status: "SUCCEEDED" },
  "finished": { cancelled: false, status: "SUCCEEDED" },
};

for (const stand of Object.keys(EXPECTED) as Stand[]) {
  for (const way of ["single", "double", "by user", "by prefix"] as Way[]) {
    Deno.test(`Engine.cancel ${way}: a request that is ${stand}`, () => cell(stand, way));
  }
}

async function cell(stand: Stand, way: Way): Promise<void> {
  const held = new Held();
  const proven: string[] = [];
  let strike: ((name: string) => void) | null = null;
  let ran = 0;
  await using b = await bench({
    works: {
      "sky.blocker": held.work(),
      "sky.x": (body, ctx) => {
        ran++;
        return held.work({ obeys: stand !== "ignoring" })(body, ctx);
      },
      "sky.quick": () => Promise.resolve("done"),
    },
    limits: { long: 1, cancelMs: 60 },
    proveDead: (id) => Promise.resolve(void proven.push(id)),
    failpoint: (name) => strike?.(name),
  });
  // Somebody else's request must never be touched.
  const other = await b.engine.submit(submission("sky.blocker", { user: bob, lane: "short" }));
  await held.started(other.id);
  const cancel = (id: string) => wayOf(way, id, b);

  let id = "";
  let answers: string[][] = [];
  if (stand === "starting" || stand === "finishing") {
    const at = stand === "starting" ? "before_start" : "before_result";
    let answering: Promise<string[]>[] = [];
    strike = (name) => {
      if (name !== at) return;
      strike = null;
      answering = calls(way).map(() => cancel(id));
    };
    id =
      (await b.engine.submit(submission(stand === "starting" ? "sky.x" : "sky.quick", { resumable: true })))
        .id;
    await until("it was struck", () => answering.length > 0);
    answers = await Promise.all(answering);
  } else {
    if (stand === "in a lane" || stand === "behind a lock") {
      const over = stand === "in a lane"
        ? { user: bob }
        : { user: bob, lane: "short" as const, clusterName: "c", lock: true };
      await held.started((await b.engine.submit(submission("sky.blocker", over))).id);
    }
    const over = stand === "behind a lock" ? { clusterName: "c", lock: true } : {};
    id = (await b.engine.submit(submission(stand === "finished" ? "sky.quick" : "sky.x", over))).id;
    if (stand === "running" || stand === "ignoring") await held.started(id);
    if (stand === "finished") await b.engine.wait(id, never);
    answers = await Promise.all(calls(way).map(() => cancel(id)));
  }

  const expected = EXPECTED[stand];
  for (const answer of answers) assertEquals(answer, expected.cancelled ? [id] : []);
  const record = await b.engine.record(id);
  if (stand === "finishing") await b.engine.wait(id, never);
  else assertEquals(record.status, expected.status);
  if (stand === "in a lane" || stand === "behind a lock" || stand === "starting") assertEquals(ran, 0);
  if (expected.cancelled && stand !== "in a lane" && stand !== "behind a lock") assert(proven.includes(id));
  assertEquals((await b.engine.record(other.id)).status, "RUNNING");

  if (stand === "ignoring") {
    assert(proven.includes(id));
    assertEquals(
      record.statusMessage,
      "Cancelled, but its work does not stop. Its processes were killed, it can change nothing more",
    );
    const ctx = await held.started(id);
    await assertRejects(() => ctx.step("late", () => Promise.resolve(1)), SkyError, "was cancelled by");
    let refused: unknown;
    try {
      ctx.log.line("late");
    } catch (error) {
      refused = error;
    }
    assert(isSkyError(refused, "request_cancelled"));
    // When it ends at last, with a result even, it is CANCELLED: nothing it did since counted.
    held.finish(id, "too late");
    assertEquals((await b.engine.wait(id, never)).status, "CANCELLED");
    assertEquals(b.engine.log(id).size(), 0);
  }
  // A cancel of what is over finds nothing, and changes nothing.
  const before = await b.engine.record(id);
  assertEquals(await b.engine.cancel({ ids: [id] }, ann), []);
  assertEquals(await b.engine.record(id), before);
}

function calls(way: Way): number[] {
  return way === "double" ? [1, 2] : [1];
}

function wayOf(way: Way, id: string, b: Bench): Promise<string[]> {
  const filter: CancelFilter = way === "by user"
    ? { userId: ann.id }
    : way === "by prefix"
    ? { ids: [id.slice(0, 20), "ffffffff-nothing"] }
    : { ids: [id] };
  return b.engine.cancel(filter, ann);
}

Deno.test("Engine.cancel all cancels exactly what it counts, of 100 that wait and run; none starts later", async () => {
  const held = new Held();
  await using b = await bench({
    works: { "sky.x": held.work(), "sky.steer": held.work() },
    limits: { long: 10 },
  });
  const steer = await b.engine.submit(submission("sky.steer", { control: true, lane: "short" }));
  await held.started(steer.id);
  const ids = await Promise.all(
    Array.from(
      { length: 100 },
      async (_, n) => (await b.engine.submit(submission("sky.x", { user: n % 4 === 0 ? bob : ann }))).id,
    ),
  );
  await until("ten run", () => held.ids.length === 11);
  const mine = await b.engine.cancel({ userId: ann.id }, ann);
  assertEquals(mine.length, 75);
  const started = held.ids.length;
  const [rest, twice] = await Promise.all([
    b.engine.cancel({ all: true }, ann),
    b.engine.cancel({ all: true }, bob),
  ]);
  assertEquals(rest.length, 25);
  assertEquals(twice, rest);
  assertEquals([...mine, ...rest].sort(), ids.toSorted());
  for (const record of await b.engine.list({ allStatus: true })) {
    assertEquals(record.status, record.id === steer.id ? "RUNNING" : "CANCELLED");
  }
  assert(held.ids.length <= started + 10);
  assertEquals(b.engine.counts(), { waiting: 0, running: 1 });
  assertEquals(await b.engine.cancel({ ids: [steer.id] }, ann), [steer.id]);
});

Deno.test("Engine.cancel refuses an ambiguous prefix before it cancels anything", async () => {
  const held = new Held();
  await using b = await bench({ works: { "sky.x": held.work() } });
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) ids.push((await b.engine.submit(submission("sky.x"))).id);
  const digits = ids.map((id) => id[0] ?? "");
  const twice = digits.find((digit, at) => digits.indexOf(digit) !== at) ?? "";
  const error = await assertRejects(() => b.engine.cancel({ ids: [ids[0] ?? "", twice] }, ann), SkyError);
  assertEquals(error.code, "request_ambiguous");
  assertEquals((await b.engine.list()).length, 20);
  assertEquals(await b.engine.cancel({ ids: [] }, ann), []);
  assertEquals((await b.engine.cancel({ ids: ids.slice(0, 3) }, ann)).sort(), ids.slice(0, 3).sort());
});

Deno.test("Engine.cancel writes CANCELLED only after the processes are proven dead, and says so meanwhile", async () => {
  const held = new Held();
  let dead = false;
  let asked = 0;
  await using b = await bench({
    works: { "sky.x": held.work() },
    limits: { cancelMs: 1500 },
    proveDead: () => {
      asked++;
      return dead ? Promise.resolve() : Promise.reject(new Error("pid 7 is alive"));
    },
  });
  const { id } = await b.engine.submit(submission("sky.x"));
  await held.started(id);
  const cancelling = b.engine.cancel({ ids: [id] }, ann);
  await until("it was asked", () => asked > 0);
  const record = await b.engine.record(id);
  assertEquals([record.status, record.statusMessage], [
    "RUNNING",
    "Its processes cannot be proven dead yet; trying again",
  ]);
  dead = true;
  assertEquals(await cancelling, [id]);
  assertEquals(b.errors.length, 1);
});

Deno.test("Engine.cancel of work that wins the race leaves its result", async () => {
  await using b = await bench({
    works: {
      "sky.x": async (_body, ctx) => {
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        return "made it";
      },
    },
  });
  const { id } = await b.engine.submit(submission("sky.x"));
  await until("it runs", () => b.engine.counts().running === 1);
  assertEquals(await b.engine.cancel({ ids: [id] }, ann), []);
  assertEquals((await b.engine.wait(id, never)).result, '"made it"');
});

Deno.test("Engine.cancel takes effect within a second when the work obeys", async () => {
  await using b = await bench({
    works: {
      "sky.sleep": async (_body, ctx) => {
        const child = new Deno.Command("sleep", { args: ["60"], signal: ctx.signal }).spawn();
        await child.status;
        ctx.signal.throwIfAborted();
      },
    },
  });
  const ids = await Promise.all(
    Array.from({ length: 8 }, async () => (await b.engine.submit(submission("sky.sleep"))).id),
  );
  await until("they run", () => b.engine.counts().running === 8);
  const start = performance.now();
  assertEquals((await b.engine.cancel({ all: true }, ann)).length, ids.length);
  assert(performance.now() - start < 1000);
});
