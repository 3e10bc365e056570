/** What goes wrong around a good program: a damaged database, a taken port, rude callers, a full disk, huge input. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { isRoot, makeNamespace, PlacedSky } from "../support/placed.ts";
import { finish, type Ran, TestSky, until } from "../support/sky.ts";

const encoder = new TextEncoder();

function assertOneClearError(ran: Ran): void {
  assert(!/^\s+at .*:\d+:\d+|This is a bug|panicked/m.test(ran.stderr), ran.stderr);
}

Deno.test("a damaged database is refused by name, kept as it is, and the way out that is told works", async () => {
  await using sky = await TestSky.make();
  const path = join(sky.env.SKY_HOME!, "sky.db");
  await sky.ok(["launch", "-c", "before", "-y", "-d", "true"]);
  await sky.ok(["down", "before", "-y"]);
  await sky.ok(["api", "stop"]);
  const whole = await Deno.readFile(path);
  const garbled = whole.slice();
  garbled.set(encoder.encode("this is no database at all, sorry"));
  for (const bytes of [garbled, whole.slice(0, 5000), whole.slice(0, whole.length >> 1)]) {
    await Deno.writeFile(path, bytes);
    for (const args of [["status"], ["launch", "-y", "echo x"]]) {
      const ran = await sky.run(args);
      assertEquals(ran.code, 1, ran.stdout);
      assertStringIncludes(ran.stderr, `The database '${path}' is damaged: `);
      assertStringIncludes(ran.stderr, "It was left as it is. Put back a copy of it, or move it away");
      assertOneClearError(ran);
    }
    assertEquals(await Deno.readFile(path), bytes);
  }
  const { stderr } = await sky.run(["status"]);
  const way = /(mv '.*)$/m.exec(stderr)?.[1];
  assert(way !== undefined, stderr);
  assert((await new Deno.Command("sh", { args: ["-c", way] }).output()).success);
  assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
  assertEquals((await Deno.stat(`${path}.damaged`)).size, whole.length >> 1);
});

Deno.test("a port that another program has is said, with the way out; freed, the next command works", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await using sky = await TestSky.make({ SKY_PORT: String(port) });
  for (const args of [["status"], ["api", "start"]]) {
    const ran = await sky.run(args);
    assertEquals(ran.code, 1);
    assertStringIncludes(ran.stderr, `Cannot listen on 127.0.0.1:${port}: another program has the port`);
    assertStringIncludes(ran.stderr, "Set SKY_PORT to another port, or end that program");
    assertOneClearError(ran);
  }
  listener.close();
  await sky.ok(["status"]);
  assertEquals((await sky.registration())!.port, port);
});

async function answerTo(port: number, bytes: Uint8Array | string): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(typeof bytes === "string" ? encoder.encode(bytes) : bytes);
  return await new Response(connection.readable).text().catch(() => ""); // it may be cut off: an answer, too
}

Deno.test("garbage, slow callers and half-open connections are no trouble for the others", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["api", "start"]);
  const { port, pid } = (await sky.registration())!;
  const open: Deno.Conn[] = [];
  const leaveOpen = async (text: string) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(encoder.encode(text));
    open.push(connection);
  };
  try {
    for (let at = 0; at < 100; at++) {
      await leaveOpen("GET /api/health HT");
      await leaveOpen("POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
      await leaveOpen("");
    }
    const head = "POST /launch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    const rude: [string | Uint8Array, RegExp][] = [
      [crypto.getRandomValues(new Uint8Array(5000)), /^(HTTP\/1\.1 400 .*)?/],
      ["GET\r\n\r\n", /^HTTP\/1\.1 400 /],
      ["GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n", /^HTTP\/1\.1 400 /],
      [`${head}Content-Length: abc\r\n\r\n`, /^HTTP\/1\.1 400 /],
      [`${head}Content-Length: 99999999999\r\n\r\n{`, /^HTTP\/1\.1 413 /],
      [`${head}Content-Length: 5\r\n\r\n{{{{{`, /^HTTP\/1\.1 422 /],
      [`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(1_000_000)}\r\n\r\n`, /^(HTTP\/1\.1 431 )?/],
      ["GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", /^HTTP\/1\.1 404 /],
      [Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3), /^HTTP\/1\.1 400 /],
    ];
    for (const [bytes, pattern] of rude) {
      const answer = await answerTo(port, bytes);
      assertMatch(answer, pattern);
      assert(!answer.includes("root:") && !/\.ts:\d+/.test(answer));
    }
    assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"], { timeoutMs: 10_000 })), []);
    assertEquals(
      (await fetch(`http://127.0.0.1:${port}/api/health`).then((r) => r.json())).status,
      "healthy",
    );
  } finally {
    for (const connection of open) connection.close();
  }
  assertEquals((await sky.registration())!.pid, pid);
});

/** A sky whose state lies on a disk of its own, of 24 MB. */
async function onSmallDisk(env: Record<string, string> = {}) {
  const home = await Deno.makeTempDir({ prefix: "sky-test-" });
  await Deno.mkdir(join(home, "work"));
  await Deno.mkdir(join(home, ".sky"));
  const namespace = await makeNamespace(home, `mount -t tmpfs -o size=24m tmpfs "$1/.sky"`);
  return { sky: new PlacedSky(home, { namespace, env }), disk: `${namespace.root}${home}/.sky` };
}

async function fill(disk: string): Promise<void> {
  await new Deno.Command("dd", {
    args: ["if=/dev/zero", `of=${disk}/ballast`, "bs=64k"],
    stderr: "null",
  }).output();
}

async function refuses(sky: TestSky, args: string[]): Promise<boolean> {
  const ran = await sky.run(args);
  if (ran.code === 0) return false;
  assertEquals(ran.code, 1);
  assertStringIncludes(ran.stderr, "OSError: No space is left on the disk of '");
  assertStringIncludes(ran.stderr, "Free some space and try again; reading and cancelling still work");
  assertOneClearError(ran);
  return true;
}

Deno.test({
  name: "a full disk: new work is refused; looking, cancelling and down work; with space all is well again",
  ignore: !isRoot, // needs a disk of its own
  async fn() {
    const { sky: placed, disk } = await onSmallDisk({ SKY_FAILPOINT: "hold:sky.exec" });
    await using sky = placed;
    await sky.ok(["launch", "-c", "one", "-y", "-d", "echo here; sleep 300"]);
    const held = /request: (\S+)/.exec(await sky.ok(["exec", "one", "--async", "echo never"]))![1]!;
    await fill(disk);
    // It is looked at once a second.
    await until(() => refuses(sky, ["exec", "one", "--async", "echo x"]), {
      what: "the disk to be seen full",
    });
    assert(await refuses(sky, ["launch", "--async", "-y", "-c", "two", "echo x"]));
    assert(await refuses(sky, ["start", "one", "-y", "--force"]));
    for (let at = 0; at < 5; at++) {
      const clusters: { name: string }[] = JSON.parse(await sky.ok(["status", "-o", "json"]));
      assertEquals(clusters.map(({ name }) => name), ["one"]);
    }
    assertStringIncludes(await sky.ok(["status"]), "one");
    assertStringIncludes(await sky.ok(["api", "status"]), held);
    assertEquals(JSON.parse(await sky.ok(["queue", "one", "-o", "json"])).one[0].status, "RUNNING");
    assertStringIncludes(await sky.ok(["logs", "one", "1", "--no-follow"]), ") here\n");
    assertStringIncludes(await sky.ok(["api", "cancel", held]), `Cancelled 1 request: ${held}`);
    await sky.ok(["cancel", "one", "1", "-y"]);
    await sky.ok(["down", "one", "-y"]);
    assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
    await Deno.remove(join(disk, "ballast"));
    await until(async () => !await refuses(sky, ["launch", "-y", "-c", "back", "echo back"]), {
      what: "space",
    });
    assertStringIncludes(await sky.ok(["logs", "back", "1"]), ") back\n");
  },
});

Deno.test({
  name: "a job that fills the disk, and takes every byte that gets free, is cancelled, and space is back",
  ignore: !isRoot, // needs a disk of its own
  async fn() {
    const { sky: placed } = await onSmallDisk();
    await using sky = placed;
    const once = "cat /dev/zero >junk; echo code $?; rm junk; exit 9";
    assertEquals((await sky.run(["launch", "-y", "-c", "once", once])).code, 100);
    await sky.ok(["down", "once", "-y"]);
    const greedy = "while :; do cat /dev/zero >>junk; sleep 0.01; done 2>/dev/null";
    await until(async () => !await refuses(sky, ["launch", "-y", "-d", "-c", "greedy", greedy]), {
      what: "space after the first",
    });
    // The last of the queue is job 1; an exec that still got in may wait for space before it.
    const status = async () =>
      JSON.parse(await sky.ok(["queue", "greedy", "-o", "json"])).greedy.at(-1).status;
    await until(async () => await status() === "RUNNING", { what: "the greedy job to run" });
    await until(() => refuses(sky, ["exec", "greedy", "--async", "echo x"]), { what: "the disk to be full" });
    for (let at = 0; at < 10; at++) await sky.ok(["status", "-o", "json"]);
    assertEquals(await status(), "RUNNING");
    await sky.ok(["cancel", "greedy", "1", "-y"]);
    await sky.ok(["down", "greedy", "-y"]);
    await until(async () => !await refuses(sky, ["launch", "-y", "-c", "after", "echo back"]), {
      what: "space after the greedy one",
    });
    await sky.ok(["api", "stop"]);
  },
});

Deno.test("200 MB of a job's output are followed to the last byte, and the server's memory stays small", async () => {
  await using sky = await TestSky.make();
  const child = sky.spawn([
    "launch",
    "-y",
    "-c",
    "big",
    "yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 200000000",
  ]);
  let seen = 0;
  const counting = (async () => {
    for await (const chunk of child.stdout) for (const byte of chunk) if (byte === 0x39) seen++;
  })();
  await Promise.all([counting, child.stderr.cancel()]);
  assertEquals((await child.status).code, 0);
  assert(seen >= 6 * Math.floor(200_000_000 / 62), `nines: ${seen}`);
  const { pid } = (await sky.registration())!;
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1]) / 1024;
  assert(peak < 300, `the server's peak is ${peak} MB`);
});

Deno.test("huge, deep, exploding and binary files get one clear line, fast", async () => {
  await using sky = await TestSky.make();
  const letters = "abcdefghi";
  const laughs = [...letters].map((letter, at) =>
    `${letter}: &${letter} [${Array(9).fill(at === 0 ? '"lol"' : `*${letters[at - 1]}`).join(",")}]\n`
  );
  const files: Record<string, [string | Uint8Array, string]> = {
    "huge.yaml": [
      "run: |\n" + "  echo 0123456789\n".repeat(700_000),
      "YAML Error: the text is larger than 10 MB",
    ],
    "deep.yaml": [
      `run: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n`,
      "YAML Error: nested deeper than 100 levels",
    ],
    "tall.yaml": [
      Array.from({ length: 3000 }, (_, at) => `${"  ".repeat(at)}a:\n`).join(""),
      "YAML Error: nested deeper than 100 levels",
    ],
    "laughs.yaml": [laughs.join(""), "YAML Error: its aliases expand to more than"],
    "binary.yaml": [crypto.getRandomValues(new Uint8Array(5000)), "is not a valid UTF-8 text file"],
  };
  for (const [name, [content, text]] of Object.entries(files)) {
    await Deno.writeFile(
      join(sky.work, name),
      typeof content === "string" ? encoder.encode(content) : content,
    );
    const ran = await finish(sky.spawn(["launch", "-y", "-c", "x", name]), [name], 20_000);
    assertEquals([name, ran.code], [name, 1], ran.stderr);
    assertStringIncludes(ran.stdout, text);
    assert(ran.stdout.length < 1000, `${name} is not repeated: ${ran.stdout.length}`);
    assertEquals(ran.stderr, "Aborted!\n");
  }
  assertEquals(await sky.registration(), undefined, "no server was bothered with them");
});
