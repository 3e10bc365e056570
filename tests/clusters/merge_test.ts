import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { JobLog, logPath } from "../../clusters/merge.ts";
import { LogFiles } from "../../state/log_file.ts";
import { type Random, random } from "./random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const never = new AbortController().signal;

/** Raw outputs as nodes keep them: they survive our crashes. */
class Outputs {
  readonly raw = new Map<string, Uint8Array>();
  readonly reread = (key: string, range: { from: number; to: number }) =>
    Promise.resolve((this.raw.get(key) ?? new Uint8Array()).slice(range.from, range.to));
}

async function inTemp(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "sky-merge-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function open(folder: string, outputs: Outputs): Promise<JobLog> {
  return JobLog.open({ folder, logs: new LogFiles(), reread: outputs.reread, signal: never });
}

async function shown(folder: string): Promise<string> {
  return decoder.decode(await Deno.readFile(logPath(folder)));
}

Deno.test("JobLog merges sources line by line under their prefixes", async () => {
  await inTemp(async (folder) => {
    const log = await open(folder, new Outputs());
    await log.note("waiting", "waiting");
    assertEquals(await log.source("run:0", "(a) "), 0);
    await log.source("run:1", "(b) ");
    await log.add("run:0", encoder.encode("one\ntw"));
    await log.add("run:1", encoder.encode("eins\n"));
    await log.add("run:0", encoder.encode("o\nend"));
    await log.finish("run:0");
    await log.finish("run:1");
    await log.note("finished", "done");
    await log.end();
    assertEquals(await shown(folder), "waiting\n(a) one\n(b) eins\n(a) two\n(a) end\ndone\n");
  });
});

Deno.test("JobLog says a note once, over restarts too", async () => {
  await inTemp(async (folder) => {
    const outputs = new Outputs();
    for (let i = 0; i < 3; i++) {
      await using log = await open(folder, outputs);
      await log.note("waiting", `try ${i}`);
      await log.mark("cancel");
      assert(log.has("cancel"));
    }
    assertEquals(await shown(folder), "try 0\n");
  });
});

Deno.test("JobLog goes on where it was after a restart", async () => {
  await inTemp(async (folder) => {
    const outputs = new Outputs();
    {
      await using log = await open(folder, outputs);
      await log.source("run:0", "(a) ");
      await log.add("run:0", encoder.encode("one\r\nhalf"));
    }
    const log = await open(folder, outputs);
    assertEquals(await log.source("run:0", "(other) "), 5, "the half line is wanted again");
    await log.add("run:0", encoder.encode("half a line\n"));
    await log.end();
    assertEquals(await shown(folder), "(a) one\r\n(a) half a line\n");
  });
});

Deno.test("JobLog keeps its index small beside any log", async () => {
  await inTemp(async (folder) => {
    const log = await open(folder, new Outputs());
    await log.source("run:0", "(a) ");
    const line = encoder.encode("x\n");
    for (let i = 0; i < 20_000; i++) await log.add("run:0", line);
    await log.end();
    assertEquals((await shown(folder)).length, 20_000 * 6);
    assert((await Deno.stat(join(folder, "run.idx"))).size < 300 * 1024);
  });
});

/** One run of random interleavings; returns the log's bytes and the index's at every step. */
function writeOutputs(next: Random, outputs: Outputs): void {
  const sources = 1 + next.below(4);
  for (let node = 0; node < sources; node++) {
    const pieces: number[] = [];
    const lines = next.below(40);
    for (let line = 0; line < lines; line++) {
      const kind = next.below(12);
      const length = kind === 0 ? 70_000 + next.below(70_000) : next.below(60);
      for (let i = 0; i < length; i++) pieces.push(kind === 1 ? next.below(256) : 0x61 + (i % 26));
      if (kind === 2) pieces.push(...encoder.encode("<sky-payload>x</sky-payload>"));
      if (kind === 3) pieces.push(0x0d);
      else if (kind === 4) pieces.push(0x0d, 0x0a);
      else if (line < lines - 1 || kind !== 5) pieces.push(0x0a);
    }
    outputs.raw.set(`run:${node}`, new Uint8Array(pieces));
  }
}

/** Feed everything from where the log stands, in random pieces, until done or `steps` are used up. */
async function feed(log: JobLog, outputs: Outputs, options: { next: Random; steps: number }): Promise<void> {
  const { next } = options;
  await log.note("waiting", "waiting for nodes");
  const offsets = new Map<string, number>();
  for (const key of outputs.raw.keys()) offsets.set(key, await log.source(key, `(${key}) `));
  const open = new Set(outputs.raw.keys());
  for (let step = 0; open.size > 0; step++) {
    if (step >= options.steps) return;
    const key = next.pick([...open]);
    const raw = outputs.raw.get(key) ?? new Uint8Array();
    const offset = offsets.get(key) ?? 0;
    const size = next.below(4) === 0 ? next.below(90_000) : next.below(300);
    const chunk = raw.subarray(offset, offset + size);
    await log.add(key, chunk);
    offsets.set(key, offset + chunk.length);
    if (offset + chunk.length < raw.length) continue;
    await log.finish(key);
    open.delete(key);
  }
  await log.note("finished", "all done");
}

Deno.test("JobLog after a kill at any point holds the same bytes and loses nothing", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    await inTemp(async (folder) => {
      const next = random(seed);
      const outputs = new Outputs();
      writeOutputs(next, outputs);
      let promised = new Uint8Array();
      for (let life = 0; life < 6; life++) {
        const log = await open(folder, outputs);
        const before = await Deno.readFile(logPath(folder)).catch(() => new Uint8Array());
        assert(byteText(before).startsWith(byteText(promised)), `seed ${seed}, life ${life}`);
        await feed(log, outputs, { next, steps: life === 5 ? Infinity : next.below(30) });
        await log[Symbol.asyncDispose]();
        promised = await kill(folder, next, { keep: promised.length });
      }
      await finish(folder, outputs, { next, promised, seed });
    });
  }
});

/**
 * What kill -9 may leave: the index ends anywhere (a record may be torn), the log anywhere between its end and
 * what the index promises. Returns the bytes a follower may have seen.
 */
async function kill(
  folder: string,
  next: Random,
  options: { keep: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const indexPath = join(folder, "run.idx");
  const lines = (await Deno.readTextFile(indexPath)).split("\n").slice(0, -1);
  const log = await Deno.readFile(logPath(folder)).catch(() => new Uint8Array());
  const starts = lines.map((line) => JSON.parse(line)).map((record) => record[0] === "s" ? null : record[1]);
  // The index keeps at least the records whose bytes were in the file before this life.
  const kept = 1 + next.below(lines.length);
  const after = starts.slice(kept).find((start) => start !== null) ?? log.length;
  const last = starts.slice(0, kept).findLast((start) => start !== null) ?? 0;
  const size = Math.max(options.keep, last) +
    next.below(Math.max(1, after - Math.max(options.keep, last) + 1));
  const torn = next.below(2) === 0 ? (lines[kept] ?? "").slice(0, next.below(10)) : "";
  await Deno.writeTextFile(indexPath, lines.slice(0, kept).map((line) => `${line}\n`).join("") + torn);
  if (log.length > 0) await Deno.truncate(logPath(folder), Math.min(size, log.length));
  return log.slice(0, Math.min(size, log.length));
}

async function finish(
  folder: string,
  outputs: Outputs,
  options: { next: Random; promised: Uint8Array; seed: number },
): Promise<void> {
  const log = await open(folder, outputs);
  await feed(log, outputs, { next: options.next, steps: Infinity });
  await log.end();
  const bytes = await Deno.readFile(logPath(folder));
  assert(byteText(bytes).startsWith(byteText(options.promised)), `seed ${options.seed}: the promised bytes`);
  const text = byteText(bytes);
  for (const [key, raw] of outputs.raw) {
    const mine = text.split(/(?<=[\n\r])/).filter((line) => line.startsWith(`(${key}) `));
    const said = mine.map((line) => line.slice(key.length + 3).replace(/[\r\n]+$/, "")).join("");
    const meant = byteText(raw).replace(/[\r\n]/g, "").replaceAll("<sky-", "<\u00e2\u0080\u008bsky-");
    assert(said === meant, `seed ${options.seed}: ${key} is complete and in order`);
  }
  assertEquals(text.split("waiting for nodes\n").length, 2, "said once");
  assertEquals(text.split("all done\n").length, 2, "said once");
}

/** One character a byte, so that invalid UTF-8 is compared, too. */
function byteText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
