/** kill -9 under load, at random moments and at every failpoint; then what the client was told must be true. */
import { assert, assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join, resolve } from "@std/path";
import { TextLineStream } from "@std/streams";
import type { RequestRecord } from "../../core/request.ts";
import { Database } from "../../state/database.ts";
import type { Command } from "./fixtures/engine_process.ts";
import { until } from "./fixture.ts";

type Answer =
  | { kind: "ready"; open: number; waiting: number; running: number }
  | { kind: "accepted"; key: string; id: string }
  | { kind: "cancelled"; ids: string[] }
  | { kind: "records"; records: RequestRecord[] }
  | { kind: "internal"; error: string }
  | { kind: "stopped" };

const root = resolve(dirname(fromFileUrl(import.meta.url)), "..", "..");
const program = join(root, "tests", "requests", "fixtures", "engine_process.ts");
const NAMES = ["sky.steps", "sky.steps", "sky.steps", "sky.process", "sky.once", "sky.stream"];
const TEXT = "begin\nin a 1\nin a 2\nbetween\nin b\nend\n";

/** The client's memory over all lives of the server. */
class Model {
  readonly home: string;
  readonly random: () => number;
  readonly accepted = new Map<string, string>();
  readonly names = new Map<string, string>();
  readonly cancelled = new Set<string>();
  readonly finals = new Map<string, string>();
  #sent = 0;

  constructor(home: string, seed: number) {
    this.home = home;
    this.random = generator(seed);
  }

  next(): Command {
    const dice = this.random();
    const known = [...this.accepted.values()];
    if (dice < 0.15 && known.length > 0) {
      return {
        kind: "cancel",
        ids: [known[known.length - 1 - Math.floor(this.random() * Math.min(8, known.length))] ?? ""],
      };
    }
    // Sometimes the same key again, as a client does whose answer was lost.
    const again = dice < 0.3 && this.#sent > 0;
    const key = `k${again ? Math.floor(this.random() * this.#sent) : this.#sent++}`;
    const name = this.names.get(key) ?? NAMES[Math.floor(this.random() * NAMES.length)] ?? "";
    this.names.set(key, name);
    const cluster = name === "sky.steps" && this.random() < 0.3 ? "c" : null;
    return { kind: "submit", key, name, cluster };
  }

  take(answer: Answer): void {
    if (answer.kind === "accepted") {
      const before = this.accepted.get(answer.key);
      assert(before === undefined || before === answer.id, `key ${answer.key} got two ids`);
      this.accepted.set(answer.key, answer.id);
    } else if (answer.kind === "cancelled") {
      for (const id of answer.ids) this.cancelled.add(id);
    } else if (answer.kind === "records") {
      for (const { id, status } of answer.records) {
        const before = this.finals.get(id);
        assert(before === undefined || before === status, `${id} was ${before}, is ${status}`);
        if (["SUCCEEDED", "FAILED", "CANCELLED"].includes(status)) this.finals.set(id, status);
      }
    } else if (answer.kind === "internal") throw new Error(answer.error);
  }
}

class Life {
  readonly model: Model;
  readonly child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  ready: Extract<Answer, { kind: "ready" }> | null = null;
  records: RequestRecord[] | null = null;
  over = false;
  #failure: unknown = null;

  constructor(model: Model, point = "") {
    this.model = model;
    this.child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", program, model.home, point],
      cwd: root,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.child.stdin.getWriter();
    this.#reading = this.#read().catch((error: unknown) => void (this.#failure = error)).finally(() =>
      this.over = true
    );
  }

  async send(command: Command): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`)).catch(() => undefined); // it is dead
  }

  async end(): Promise<Deno.CommandStatus> {
    const status = await this.child.status;
    await this.#reading;
    await this.#writer.close().catch(() => undefined); // broken by its death
    if (this.#failure !== null) throw this.#failure;
    return status;
  }

  async #read(): Promise<void> {
    const lines = this.child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      if (!line.endsWith("}.")) break; // cut off by the kill
      const answer = JSON.parse(line.slice(0, -1)) as Answer;
      if (answer.kind === "ready") this.ready = answer;
      if (answer.kind === "records") this.records = answer.records;
      this.model.take(answer);
    }
  }

  /** Whatever happened in a test, it does not live on. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it is dead already
    }
    await this.child.status;
    await this.#reading;
  }
}

async function cycle(model: Model, point: string): Promise<boolean> {
  await using life = new Life(model, point);
  await until("it is ready or dead", () => life.ready !== null || life.over, 30_000);
  if (life.ready !== null) {
    const { open, waiting, running } = life.ready;
    assertEquals(open, waiting + running, "every open row has an owner when it is ready");
  }
  const killAt = point === "" ? 30 + Math.floor(model.random() * 150) : Number.POSITIVE_INFINITY;
  const start = performance.now();
  while (!life.over && performance.now() - start < Math.min(killAt, 4000)) {
    for (let n = 0; n < 4; n++) await life.send(model.next());
    await life.send({ kind: "list", brief: true });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const struck = life.over;
  if (!struck) life.child.kill("SIGKILL");
  await life.end();
  return struck;
}

/** A last life that is left alone until all is done. */
async function settle(model: Model): Promise<RequestRecord[]> {
  await using life = new Life(model);
  await until("it is ready", () => life.ready !== null, 30_000);
  await until("all are final", async () => {
    await life.send({ kind: "list", brief: true });
    await new Promise((resolve) => setTimeout(resolve, 50));
    return life.records?.every((record) => record.finishedAt !== null) === true;
  }, 30_000);
  life.records = null;
  await life.send({ kind: "list", brief: false });
  await until("the records came", () => life.records !== null, 30_000);
  await life.send({ kind: "stop" });
  assertEquals((await life.end()).code, 0);
  return life.records ?? [];
}

async function check(model: Model, records: RequestRecord[]): Promise<void> {
  const byId = new Map(records.map((record) => [record.id, record]));
  for (const [key, id] of model.accepted) {
    assertEquals(byId.get(id)?.idempotencyKey, key, `accepted ${id} is in the store`);
  }
  assertEquals(new Set(records.map((record) => record.idempotencyKey)).size, records.length);
  for (const id of model.cancelled) assertEquals(byId.get(id)?.status, "CANCELLED");
  for (const record of records) {
    const deeds = (await Deno.readTextFile(join(model.home, "deeds", record.id)).catch(() => "")).split("\n");
    const b = deeds.indexOf("b");
    assert(
      b < 0 || !deeds.slice(b).includes("a"),
      `${record.id}: step a ran again after it had finished: ${deeds}`,
    );
    const log = await Deno.readTextFile(join(model.home, "requests", `${record.id}.log`)).catch(() => "");
    if (record.name !== "sky.process") {
      if (record.status === "SUCCEEDED") assertEquals(log, TEXT, record.id);
      else assert(TEXT.startsWith(log), `${record.id}: ${JSON.stringify(log)}`);
    }
    if (record.status === "SUCCEEDED" && record.name !== "sky.process") {
      assertEquals(JSON.parse(record.result ?? ""), { a: record.id });
    }
    if (record.status === "FAILED") {
      assertEquals([record.name, record.error?.code], ["sky.once", "request_interrupted"]);
    }
    const pid = (await Deno.readTextFile(join(model.home, "processes", record.id)).catch(() => "")).trim();
    if (pid !== "") assert(!(await isAlive(pid)), `process ${pid} of finished ${record.id} is alive`);
  }
  const database = await Database.open({ path: join(model.home, "sky.db"), now: Date.now });
  assertEquals(await database.read("PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  await database.close();
}

async function isAlive(pid: string): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return /\((sleep|sh)\) [^Z]/.test(stat);
}

function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function withModel(seed: number, body: (model: Model) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "sky-crash-" });
  try {
    for (const folder of ["deeds", "processes"]) await Deno.mkdir(join(home, folder));
    await body(new Model(home, seed));
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const seed = Number(Deno.env.get("SKY_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const cycles = Number(Deno.env.get("SKY_CYCLES") ?? 8);

Deno.test(`Engine survives kill -9 at random moments (SKY_SEED=${seed}, ${cycles} cycles)`, async () => {
  await withModel(seed, async (model) => {
    for (let n = 0; n < cycles; n++) await cycle(model, "");
    const records = await settle(model);
    assert(model.accepted.size > 0 && records.some((record) => record.attempts > 1));
    await check(model, records);
  });
});

const POINTS = [
  "before_insert",
  "after_insert",
  "before_start",
  "after_start",
  "before_step",
  "after_step",
  "before_result",
  "after_result",
  "before_commit",
  "after_commit",
];
const RECOVERY_POINTS = ["before_recover", "after_recover"];

Deno.test(`Engine survives kill -9 at every failpoint (SKY_SEED=${seed})`, async (t) => {
  await withModel(seed + 1, async (model) => {
    for (const point of [...POINTS, ...RECOVERY_POINTS]) {
      await t.step(point, async () => {
        const first = RECOVERY_POINTS.includes(point) ? 1 : 3;
        // A cycle before leaves something to recover.
        if (RECOVERY_POINTS.includes(point)) await cycle(model, "after_step:2");
        assert(await cycle(model, `${point}:${first + Math.floor(model.random() * 2)}`), "it struck");
      });
    }
    await t.step("then all is as it was told", async () => await check(model, await settle(model)));
  });
});

Deno.test("Database survives kill -9 around a checkpoint", async () => {
  await withModel(seed + 2, async (model) => {
    for (const point of ["before_checkpoint", "after_checkpoint"]) {
      await using life = new Life(model, `${point}:1`);
      await until("it is ready", () => life.ready !== null, 30_000);
      for (let n = 0; n < 40; n++) await life.send(model.next());
      await until("something was accepted", () => model.accepted.size > 10, 30_000);
      await life.send({ kind: "stop" });
      assertEquals((await life.end()).signal, "SIGKILL");
    }
    await check(model, await settle(model));
  });
});
