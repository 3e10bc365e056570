/** Leaving and coming back: Ctrl+C, --async, api status, logs, cancel, and the stream link. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TestSky, until } from "../support/sky.ts";

Deno.test("answering the prompt in a terminal launches; Ctrl+C in the job's log leaves the job running", async () => {
  await using sky = await TestSky.make();
  const terminal = sky.terminal(["launch", "-c", "t", "--cpus", "1", "echo step 1; sleep 3; echo step 2"]);
  await terminal.until("Launching a new cluster 't'. Proceed? [Y/n]: ");
  await terminal.send("y\n");
  await terminal.until(") step 1");
  await terminal.send("\x03");
  assertEquals(await terminal.end(), 1);
  assertMatch(terminal.text, /\nAborted!\n$/);
  assert(terminal.screen.includes("\x1b[?25h"), "the cursor is shown again");
  const out = await sky.ok(["logs", "t", "1"]);
  assertStringIncludes(out, "step 2");
});

Deno.test("a declined prompt aborts with exit 1 and makes nothing", async () => {
  await using sky = await TestSky.make();
  const terminal = sky.terminal(["launch", "-c", "no", "echo x"]);
  await terminal.until("Proceed? [Y/n]: ");
  await terminal.send("n\n");
  assertEquals(await terminal.end(), 1);
  assertStringIncludes(terminal.text, "Aborted!");
  assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
  const eof = await sky.run(["launch", "-c", "no", "echo x"], { stdin: "" });
  assertEquals(eof.code, 1);
  assertStringIncludes(eof.stderr, "Aborted!");
});

Deno.test("ten asynchronous launches from a shell loop all run", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["api", "start"]);
  const runs = await Promise.all(
    Array.from(
      { length: 10 },
      (_, i) => sky.run(["launch", "-c", `c${i}`, "--cpus", "0.1", "-y", "--async", `echo hello ${i}`]),
    ),
  );
  const ids = runs.map((ran) => {
    assertEquals(ran.code, 0, ran.stderr);
    const id = /^Submitted sky\.launch request: ([0-9a-f-]{36})$/m.exec(ran.stdout)?.[1];
    assert(id !== undefined, ran.stdout);
    assertStringIncludes(ran.stdout, `├── Check logs with: sky api logs ${id.slice(0, 8)}\n`);
    return id;
  });
  assertEquals(new Set(ids).size, 10);
  for (const id of ids) await sky.ok(["api", "logs", id.slice(0, 8)]);
  for (const i of ids.keys()) {
    await until(async () => (await sky.run(["logs", `c${i}`, "1"])).stdout.includes(`) hello ${i}\n`), {
      what: `job of c${i}`,
    });
  }
});

Deno.test("a running request is found, followed and cancelled by its prefix", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const submitted = await sky.ok(["launch", "-c", "slow", "-y", "--async", "echo never"]);
  const id = /request: (\S+)/.exec(submitted)![1]!;
  await until(async () => await statusOf(sky, id) === "RUNNING", { what: "the launch to run" });
  const other = await sky.run(["api", "logs", "zzzz"]);
  assertEquals(other.code, 1);
  assertStringIncludes(other.stderr, "Request 'zzzz' not found");
  const empty = await sky.run(["api", "cancel", ""]);
  assert(empty.code !== 0, "an empty prefix never picks at random");
  assertStringIncludes(await sky.ok(["api", "cancel", id.slice(0, 8)]), `Cancelled 1 request: ${id}`);
  assertEquals(await statusOf(sky, id), "CANCELLED");
  const followed = await sky.run(["api", "logs", id]);
  assertEquals(followed.code, 1);
  assertStringIncludes(followed.stderr, "sky.exceptions.RequestCancelled");
});

Deno.test("Ctrl+C while a request streams prints how to come back, and the request goes on", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const terminal = sky.terminal(["launch", "-c", "held", "-y", "echo x"]);
  const running = async (): Promise<{ request_id: string; status: string }[]> =>
    JSON.parse(await sky.ok(["api", "status", "-o", "json"]));
  await until(async () => (await running()).some(({ status }) => status === "RUNNING"), {
    what: "the launch to run",
  });
  const id = (await running())[0]!.request_id;
  await terminal.send("\x03");
  assertEquals(await terminal.end(), 1);
  const { url } = (await sky.registration())!;
  const block = `⚙︎ Request will continue running asynchronously.
├── View logs: sky api logs ${id.slice(0, 8)}
├── Or, visit: ${url}/api/stream?request_id=${id.slice(0, 8)}
└── To cancel the request, run: sky api cancel ${id.slice(0, 8)}


Aborted!
`;
  assert(terminal.text.endsWith(block), terminal.text);
  assertEquals(await statusOf(sky, id), "RUNNING");
});

Deno.test("down cancels every other request on its cluster, dead, before it acts", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.exec" });
  await sky.ok(["launch", "-c", "d", "-y", "-d", "sleep 100"]);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    ids.push(/request: (\S+)/.exec(await sky.ok(["exec", "d", "--async", "echo x"]))![1]!);
  }
  await until(async () => await statusOf(sky, ids[0]!) === "RUNNING", { what: "the first exec to run" });
  await sky.ok(["down", "d", "-y"]);
  for (const id of ids) assertEquals(await statusOf(sky, id), "CANCELLED");
  assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
});

Deno.test("the stream link works with curl, plain and live, and as a page for browsers", async () => {
  await using sky = await TestSky.make();
  const submitted = await sky.ok(["launch", "-c", "web", "-y", "--async", "echo hello"]);
  const link = /Or, visit: (\S+)/.exec(submitted)![1]!;
  const { url } = (await sky.registration())!;
  const query = new URL(link).search;
  const plain = await (await fetch(`${url}/api/stream${query}&format=plain`)).text();
  assertStringIncludes(plain, "Cluster launched: web.");
  assert(!plain.includes("<sky-payload"));
  const page = await fetch(`${url}/api/stream${query}`, { headers: { "User-Agent": "Mozilla/5.0" } });
  assertStringIncludes(page.headers.get("content-type") ?? "", "text/html");
  await page.body?.cancel();
});

async function statusOf(sky: TestSky, id: string): Promise<string | undefined> {
  const records: { request_id: string; status: string }[] = JSON.parse(
    await sky.ok(["api", "status", "-a", "-o", "json"]),
  );
  return records.find((record) => record.request_id === id)?.status;
}
