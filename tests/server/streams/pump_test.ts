/** The pump alone: waiting, heartbeats, ends, cuts, readers that leave. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { encodeControl } from "../../../api/frames.ts";
import { consoleEncoder } from "../../../server/streams/encoder.ts";
import { LogFiles } from "../../../state/log_file.ts";
import { type LogSource, type OpenStream, pump } from "../../../server/streams/pump.ts";

const utf8 = new TextEncoder();
const HEARTBEAT = encodeControl("heartbeat");

interface Rig {
  readonly source: LogSource;
  readonly open: Set<OpenStream>;
  readonly log: WritableStreamDefaultWriter<Uint8Array>;
  closed: number;
}

function rig(more: Partial<LogSource> = {}): Rig {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const made: Rig = {
    open: new Set(),
    log: writable.getWriter(),
    closed: 0,
    source: {
      open: () => Promise.resolve({ log: readable, offset: 0 }),
      end: () => Promise.resolve({ status: "SUCCEEDED", exitCode: null, notice: null }),
      closed: () => made.closed++,
      ...more,
    },
  };
  return made;
}

const start = (
  made: Rig,
  timing: { beatMs: number; pollMs: number; repeat?: boolean } = { beatMs: 60_000, pollMs: 60_000 },
) => pump(made.source, consoleEncoder(), { ...timing, open: made.open });

async function readAll(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}

Deno.test("pump sends the log, then what the end says, and closes", async () => {
  const made = rig({ end: () => Promise.resolve({ status: "CANCELLED", exitCode: null, notice: "gone" }) });
  const text = readAll(start(made));
  await made.log.write(utf8.encode("a\nb"));
  await made.log.write(utf8.encode("c\n"));
  await made.log.close();
  assertEquals(await text, "a\nbc\ngone\n");
  assertEquals([made.open.size, made.closed], [0, 1]);
});

Deno.test("pump without a log asks for the end at once", async () => {
  const made = rig({ open: () => Promise.resolve(null) });
  assertEquals(await readAll(start(made)), "");
});

Deno.test("pump beats while it is silent and only then", async () => {
  const made = rig();
  const reader = start(made, { beatMs: 40, pollMs: 60_000 }).getReader();
  const first = await reader.read();
  assertEquals(new TextDecoder().decode(first.value), HEARTBEAT);
  const writing = made.log.write(utf8.encode("x\n"));
  const texts: string[] = [];
  while (!texts.includes("x\n")) texts.push(new TextDecoder().decode((await reader.read()).value));
  await writing;
  await made.log.close();
  while (!(await reader.read()).done);
});

Deno.test("pump tells what is waited for until there is a log", async () => {
  const messages = ["first", "second", "second", null];
  const made = rig({ waiting: () => messages.length > 1 ? messages.shift()! : null, patience: 0 });
  const text = readAll(start(made, { beatMs: 60_000, pollMs: 5 }));
  while (messages.length > 1) await delay(5);
  await made.log.write(utf8.encode("x\n"));
  await made.log.close();
  const control = (code: "rich_init" | "rich_start" | "rich_update" | "rich_stop", message = "") =>
    encodeControl(code, message);
  assertEquals(
    await text,
    `${control("rich_init", "first")}${control("rich_start", "first")}${control("rich_update", "second")}${
      control("rich_stop")
    }x\n`,
  );
});

Deno.test("pump is silent about a wait shorter than its patience", async () => {
  const made = rig({ waiting: () => "waiting", patience: 60_000 });
  const text = readAll(start(made, { beatMs: 60_000, pollMs: 5 }));
  await delay(30);
  await made.log.write(utf8.encode("x\n"));
  await made.log.close();
  assertEquals(await text, "x\n");
});

Deno.test("pump lets go of everything when its reader leaves", async () => {
  let aborted = false;
  const made = rig();
  const { source } = made;
  const open = (signal: AbortSignal) => {
    signal.addEventListener("abort", () => aborted = true);
    return source.open(signal);
  };
  const reader = pump({ ...source, open }, consoleEncoder(), { beatMs: 10, open: made.open }).getReader();
  await reader.read();
  await reader.cancel();
  assertEquals([aborted, made.open.size, made.closed], [true, 0, 1]);
  await made.log.closed.catch(() => {}); // the log's reader side was cancelled
});

Deno.test("interrupt ends a repeatable stream with the word retry, another one with a cut", async () => {
  const made = rig();
  const stream = start(made, { beatMs: 60_000, pollMs: 60_000, repeat: true });
  const writing = made.log.write(utf8.encode("half"));
  const text = readAll(stream);
  await writing;
  for (const each of made.open) each.interrupt();
  assertEquals(await text, `half${encodeControl("retry")}`);
  await made.log.closed.catch(() => {});

  const other = rig();
  const cut = readAll(start(other));
  await other.log.write(utf8.encode("whole\n"));
  for (const each of other.open) each.interrupt();
  await assertRejects(() => cut);
  await other.log.closed.catch(() => {});
});

Deno.test("a log that fails is a cut", async () => {
  const broken = rig({ open: () => Promise.reject(new Error("no such file")) });
  await assertRejects(() => readAll(start(broken)), Error, "no such file");
  assertEquals([broken.open.size, broken.closed], [0, 1]);
});

Deno.test("pump does not pile up heartbeats for a reader that does not read", async () => {
  const made = rig();
  const reader = start(made, { beatMs: 3, pollMs: 60_000 }).getReader();
  await reader.read();
  await delay(200);
  for (let waiting = 0; waiting < 3; waiting++) await reader.read();
  await reader.cancel();
  assert(made.closed === 1);
  await made.log.closed.catch(() => {});
});

Deno.test("pump rests at a log's end: it asks again when the log has grown or ended, and not before", async () => {
  const folder = await Deno.makeTempDir();
  const logs = new LogFiles();
  try {
    const log = logs.open(join(folder, "a.log"));
    log.append(utf8.encode("history\n"));
    await log.flush();
    let takes = 0;
    const open = (signal: AbortSignal) => {
      const reader = log.reader({ offset: 0, signal });
      const take: typeof reader.take = (wake) => {
        takes++;
        return reader.take(wake);
      };
      return Promise.resolve({ log: { take, leave: () => reader.leave() }, offset: 0 });
    };
    const { source, open: streams } = rig({ open });
    // Heartbeats are asked for all the time, and must not make it look at the log.
    const reader = pump(source, consoleEncoder(), { beatMs: 5, pollMs: 5, open: streams }).getReader();
    const texts: string[] = [];
    const reading = (async () => {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        const text = new TextDecoder().decode(read.value);
        if (text !== HEARTBEAT) texts.push(text);
      }
    })();
    const seen = async (count: number) => {
      const late = performance.now() + 5_000;
      while (texts.length < count && performance.now() < late) await delay(5);
      assertEquals(texts.length, count);
    };
    await seen(1);
    const before = takes;
    await delay(200);
    // One look may still be under way; each heartbeat taken costs one more.
    assert(takes - before <= 200 / 5 + 5, `${takes - before} looks at a log that did not grow`);
    log.append(utf8.encode("live\n"));
    await seen(2);
    await log.end();
    await reading;
    assertEquals(texts.join(""), "history\nlive\n");
    const after = takes;
    await delay(50);
    assertEquals(takes, after);
  } finally {
    await logs.close();
    await Deno.remove(folder, { recursive: true });
  }
});
