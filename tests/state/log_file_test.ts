import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { type LogFile, LogFiles } from "../../state/log_file.ts";
import { until, withFolder } from "./fixture.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const never = new AbortController().signal;

async function withLogs(body: (logs: LogFiles, path: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const logs = new LogFiles();
    await body(logs, join(folder, "a.log"));
    await logs.close();
    assertEquals(logs.size, 0);
  });
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

/** Writes pieces of odd sizes now and then until it has written `total` bytes. */
async function chatter(log: LogFile, total: number): Promise<Uint8Array> {
  const written: number[] = [];
  for (let n = 0; written.length < total; n++) {
    const piece = encode(`line ${n} ${"é".repeat((n * 7) % 40)}\n`);
    log.append(piece);
    written.push(...piece);
    if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return new Uint8Array(written);
}

Deno.test("LogFile.append writes in order, at once when idle, together when busy", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path);
    const start = performance.now();
    log.append(encode("first\n"));
    await until("it is in the file", () => log.size() === 6);
    assert(performance.now() - start < 500);
    for (let n = 0; n < 1000; n++) log.append(encode(`${n}\n`));
    await log.flush();
    assertEquals(
      await Deno.readTextFile(path),
      `first\n${Array.from({ length: 1000 }, (_, n) => `${n}\n`).join("")}`,
    );
    assertEquals(log.size(), (await Deno.stat(path)).size);
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assertEquals(new TextDecoder().decode(await log.read(6, 4)), "0\n1\n");
    await log.end();
    assertThrows(() => log.append(encode("late")), SkyError, "has ended");
  });
});

Deno.test("LogFile.flush returns although others go on appending", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path);
    const timer = setInterval(() => log.append(encode("more\n")), 1);
    for (let n = 0; n < 20; n++) {
      log.append(encode("mine\n"));
      const start = performance.now();
      await log.flush();
      assert(performance.now() - start < 1000);
    }
    clearInterval(timer);
    await log.end();
  });
});

Deno.test("LogFile.follow: cut 200 times at random bytes and taken up by offset, the bytes are the same", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path);
    const writing = chatter(log, 300_000).then(async (all) => {
      await log.end();
      return all;
    });
    const got: number[] = [];
    let cuts = 0;
    for (let over = false; !over;) {
      const controller = new AbortController();
      const budget = cuts < 200 ? Math.floor(Math.random() * 2500) : Number.POSITIVE_INFINITY;
      const reader = log.follow({ offset: got.length, signal: controller.signal }).getReader();
      for (let count = 0; count <= budget;) {
        const { done, value } = await reader.read();
        if (done) {
          over = true;
          break;
        }
        // The cut comes within a piece: what was sent beyond it is lost on the way.
        const kept = value.subarray(0, Math.max(0, budget - count));
        got.push(...kept);
        count += value.length;
      }
      if (over) break;
      cuts++;
      if (cuts % 2 === 0) controller.abort();
      await reader.cancel();
    }
    const all = await writing;
    assert(cuts >= 100, `${cuts} cuts`);
    assertEquals(got.length, all.length);
    assertEquals(new Uint8Array(got), all);
  });
});

Deno.test("LogFile.follow gives 100 followers of different offsets the same bytes, one array for all that are live", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path);
    const seen = new Set<ArrayBufferLike>();
    const first = await chatter(log, 20_000);
    await log.flush();
    const followers = Array.from({ length: 100 }, async (_, n) => {
      const offset = n % 2 === 0 ? first.length : n * 100;
      const got: number[] = [];
      for await (const bytes of log.follow({ offset, signal: never })) {
        if (n % 2 === 0 && bytes.length < 200) seen.add(bytes.buffer);
        got.push(...bytes);
      }
      return { offset, got };
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (let n = 0; n < 5; n++) {
      log.append(encode(`live ${n}\n`));
      await log.flush();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await log.end();
    const whole = await Deno.readFile(path);
    for (const { offset, got } of await Promise.all(followers)) {
      assertEquals(new Uint8Array(got), whole.subarray(offset));
    }
    assert(seen.size <= 5, `${seen.size} arrays for 50 live followers of 5 pieces`);
  });
});

Deno.test("LogFile.follow: one who does not read holds up nobody and gets everything in the end", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path);
    const slow = log.follow({ offset: 0, signal: never }).getReader();
    const quick = bytesOf(log.follow({ offset: 0, signal: never }));
    log.append(encode("go\n"));
    await slow.read();
    const piece = new Uint8Array(64 * 1024).fill(120);
    for (let n = 0; n < 160; n++) {
      log.append(piece);
      await log.flush();
    }
    await log.end();
    assertEquals((await quick).length, 3 + 160 * piece.length);
    let rest = 0;
    for (;;) {
      const { done, value } = await slow.read();
      if (done) break;
      rest += value.length;
    }
    assertEquals(rest, 160 * piece.length);
  });
});

Deno.test("LogFile.follow ends by its signal, by cancel, by the end of the log, and never hangs or leaks", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path);
    log.append(encode("x"));
    await log.flush();
    const controller = new AbortController();
    const aborted = log.follow({ offset: 0, signal: controller.signal }).getReader();
    assertEquals((await aborted.read()).value?.length, 1);
    const unfinished = aborted.read();
    const reader = log.follow({ offset: 0, signal: never }).getReader();
    await reader.read();
    const pending = reader.read();
    await reader.cancel();
    assertEquals((await pending).done, true);
    controller.abort();
    assertEquals((await unfinished).done, true);
    const late = new AbortController();
    late.abort();
    assertEquals((await bytesOf(log.follow({ offset: 0, signal: late.signal }))).length, 0);
    const beyond = bytesOf(log.follow({ offset: 10, signal: never }));
    await log.end();
    assertEquals((await beyond).length, 0);
  });
});

Deno.test("LogFiles: an ended log is read and done, one that never was is empty, a removed one ends its followers", async () => {
  await withLogs(async (logs, path) => {
    assertEquals(
      (await bytesOf(logs.open(path, { ended: true }).follow({ offset: 0, signal: never }))).length,
      0,
    );
    await Deno.writeFile(path, new Uint8Array(300_000).fill(7));
    const ended = logs.open(path, { ended: true });
    assertEquals((await bytesOf(ended.follow({ offset: 100, signal: never }))).length, 299_900);
    assertEquals(logs.size, 0);
    const reader = ended.follow({ offset: 0, signal: never }).getReader();
    await reader.read();
    await logs.remove(path);
    assertEquals((await reader.read()).done, true);
    await logs.remove(path);
    assert(logs.open(path) === logs.open(path));
  });
});

Deno.test("LogFile keeps what a full disk refuses, says what is lost beyond its bound, and takes up again", async () => {
  await withFolder(async (folder) => {
    let told = 0;
    const logs = new LogFiles({ onDiskFull: () => told++ });
    const path = join(folder, "full.log");
    await Deno.symlink("/dev/full", path);
    const log = logs.open(path);
    const reader = log.follow({ offset: 0, signal: never }).getReader();
    log.append(encode("kept\n"));
    const error = await assertRejects(() => log.flush(), SkyError);
    assertEquals(error.code, "disk_full");
    assert(told > 0);
    for (let n = 0; n < 40; n++) log.append(new Uint8Array(50_000).fill(10));
    assertEquals(log.size(), 0);
    await Deno.remove(path);
    await log.flush();
    const first = await reader.read();
    assertEquals(new TextDecoder().decode(first.value?.subarray(0, 5)), "kept\n");
    log.append(encode("after\n"));
    await log.end();
    const text = await Deno.readTextFile(path);
    assert(
      /\n\[1000000 bytes of output are missing here: the disk was full\]\n/.test(text),
      text.slice(-200),
    );
    assert(text.endsWith("after\n"));
    await reader.cancel();
  });
});

Deno.test("LogFile tries again by itself, and ends although the disk stays full", async () => {
  await withFolder(async (folder) => {
    const logs = new LogFiles();
    const [one, two] = [join(folder, "1.log"), join(folder, "2.log")];
    await Deno.symlink("/dev/full", one);
    await Deno.symlink("/dev/full", two);
    const log = logs.open(one);
    log.append(encode("patient\n"));
    await assertRejects(() => log.flush(), SkyError);
    await Deno.remove(one);
    await until("the retry wrote it", () => log.size() === 8);
    const lost = logs.open(two);
    lost.append(encode("lost\n"));
    await lost.end();
    await log.end();
    assertEquals(await Deno.readTextFile(one), "patient\n");
    assertEquals(logs.size, 0);
  });
});

Deno.test("LogFiles.open believes that a log is new, and LogFile.read gives no more than there is", async () => {
  await withLogs(async (logs, path) => {
    const log = logs.open(path, { ended: false, isNew: true });
    assertEquals(log.size(), 0);
    assertEquals((await log.read(0, 1024 * 1024)).length, 0);
    log.append(encode("one\ntwo\n"));
    await log.flush();
    assertEquals(new TextDecoder().decode(await log.read(4, 1024 * 1024 * 1024)), "two\n");
    assertEquals((await log.read(100, 10)).length, 0);
    assert(logs.open(path, { ended: false, isNew: true }) === log);
    assertEquals(log.size(), 8);
  });
});
