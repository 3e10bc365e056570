/** The engine's other promises, end to end: followers (P5), repeated submissions (P6), short requests first (P7). */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import {
  idOf,
  launchBody,
  OFFICIAL,
  type OfficialClient,
  startedClient,
} from "../support/official_client.ts";
import { TestSky, until } from "../support/sky.ts";

const FOLLOWERS = 95;
const MUTE = 5;
const LOG_BYTES = 12_000_000;
/** Far below what buffering for those who do not read, or read slowly, would take. */
const RSS_LIMIT = 350 << 20;

async function rssOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

/** Watches something until told to stop; returns the largest. */
function watch(measure: () => Promise<number>): () => Promise<{ most: number; times: number }> {
  let stopped = false;
  const watching = (async () => {
    let most = 0;
    let times = 0;
    while (!stopped) {
      most = Math.max(most, await measure());
      times++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { most, times };
  })();
  return () => {
    stopped = true;
    return watching;
  };
}

/** Milliseconds that a status takes, asked as people's commands do: submit and wait. */
async function statusTime(client: OfficialClient): Promise<number> {
  const started = performance.now();
  await client.result("/status", { refresh: "NONE" });
  return performance.now() - started;
}

Deno.test("a hundred followers, some of which never read, get all of the log and cost the server little", async () => {
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  const { pid, port } = (await sky.registration())!;
  const go = join(sky.home, "go");
  const line = "x".repeat(119);
  const script = `until [ -e '${go}' ]; do sleep 0.05; done; yes ${line} | head -c ${LOG_BYTES}`;
  await client.result("/launch", launchBody("f", script));
  const before = await rssOf(pid);
  const body = JSON.stringify({
    ...client.envelope("sky.client.sdk.tail_logs"),
    cluster_name: "f",
    job_id: 1,
  });
  const mute = await Promise.all(Array.from({ length: MUTE }, async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const head = `POST /logs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head + body));
    return connection;
  }));
  const followers = Array.from({ length: FOLLOWERS }, async () => {
    const response = await client.post("/logs", { cluster_name: "f", job_id: 1, follow: true, tail: 0 });
    let size = 0;
    let last = "";
    for await (const chunk of response.body!) {
      size += chunk.length;
      if (chunk.length > 0) last = new TextDecoder().decode(chunk.subarray(-200));
    }
    return { size, last };
  });
  await until(async () => (await client.states()).size === FOLLOWERS + MUTE, { what: "all to follow" });
  const stop = watch(() => rssOf(pid));
  await Deno.writeTextFile(go, "");
  const ends = await Promise.all(followers);
  const { most } = await stop();
  const [first] = ends;
  assert(first!.size > LOG_BYTES, `only ${first!.size} bytes`);
  assert(first!.last.includes("Job finished (status: SUCCEEDED)."), first!.last);
  assertEquals(ends.filter(({ size }) => size !== first!.size), [], "everyone got the same");
  assert(most - before < RSS_LIMIT, `${(most - before) >> 20} MiB for followers`);
  // Those who did not read are still there, and their requests end with them.
  assertEquals((await client.states()).size, MUTE);
  for (const connection of mute) connection.close();
  await until(async () => (await client.states()).size === 0, { what: "the mute readers' requests to end" });
});

Deno.test("the same key, twenty times at once and again after a crash, is one request and one run", async () => {
  await using sky = await TestSky.make();
  let client = await startedClient(sky);
  const runs = join(sky.home, "runs");
  const post = () =>
    client.post("/launch", launchBody("i", `echo run >>'${runs}'`), { "Idempotency-Key": "one launch" });
  const twenty = () => Promise.all(Array.from({ length: 20 }, async () => await idOf(await post())));
  const ids = new Set(await twenty());
  assertEquals(ids.size, 1);
  const [id] = ids;
  // Killed with the launch wherever it is now, then asked again by clients that saw no answer.
  await sky.killServer();
  client = await startedClient(sky);
  assertEquals(new Set(await twenty()), ids);
  const done = await client.get(id!);
  assertEquals([done.payload.status, (done.value as { job_id: number }).job_id], ["SUCCEEDED", 1]);
  await (await client.post("/logs", { cluster_name: "i", job_id: 1, follow: true })).text();
  assertEquals(new Set(await twenty()), ids);
  await sky.killServer();
  client = await startedClient(sky);
  assertEquals(new Set(await twenty()), ids);
  assertEquals(await Deno.readTextFile(runs), "run\n");
  const jobs = await client.result("/queue", { cluster_name: "i", all_users: true }) as unknown[];
  assertEquals(jobs.length, 1);
  // A key belongs to its user and its operation.
  const bob = await client.as("bob").post("/launch", launchBody("i", "true"), {
    "Idempotency-Key": "one launch",
  });
  assert(!ids.has(await idOf(bob)));
  const other = await client.post("/down", { cluster_name: "i" }, { "Idempotency-Key": "one launch" });
  assertEquals(other.status, 400);
  await other.body?.cancel();
  assertEquals(await client.states([id!]), new Map([[id!, "SUCCEEDED"]]));
});

Deno.test("short requests are answered at once while a hundred launches are held", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const client = await startedClient(sky);
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => client.submit("/launch", launchBody(`h${i}`, "true"))),
  );
  for (let i = 0; i < 20; i++) {
    const took = await statusTime(client);
    assert(took < 1000, `${took} ms`);
  }
  const started = performance.now();
  assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
  assert(performance.now() - started < 3000, "the command, too");
  assertEquals((await client.states()).size, 100);
});

Deno.test("short requests are answered at once while a launch copies a big workdir", async () => {
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  const workdir = join(sky.work, "big");
  for (let folder = 0; folder < 20; folder++) {
    await Deno.mkdir(join(workdir, String(folder)), { recursive: true });
    const files = Array.from({ length: 200 }, (_, i) => join(workdir, String(folder), `${i}.txt`));
    await Promise.all(files.map((file) => Deno.writeTextFile(file, "some text\n".repeat(100))));
  }
  for (let i = 0; i < 4; i++) {
    using file = await Deno.open(join(workdir, `${i}.bin`), { create: true, write: true });
    await file.truncate(40 << 20);
  }
  const id = await client.submit("/launch", launchBody("big", "ls | wc -l", `workdir: ${workdir}\n`));
  const stop = watch(() => statusTime(client));
  const { value } = await client.get(id);
  const { most, times } = await stop();
  assertEquals((value as { job_id: number }).job_id, 1);
  assert(times > 3, `asked ${times} times only`);
  assert(most < 1000, `a status took ${most} ms`);
});

Deno.test("an accepted request says why it waits and behind how many", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const client = await startedClient(sky);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) ids.push(await client.submit("/launch", launchBody("q", "true")));
  await until(async () => await client.state(ids[0]!) === "RUNNING", { what: "the first to run" });
  const records = await (await client.fetch("/api/status")).json();
  const messages = new Map(
    records.map((one: { request_id: string; status_msg: string }) => [one.request_id, one.status_msg]),
  );
  const why = `Waiting for 'sky.launch' request ${ids[0]!.slice(0, 8)} on cluster 'q' to finish`;
  assertEquals(ids.slice(1).map((id) => messages.get(id)), [why, `${why} (2 ahead)`]);
  const stream = await fetch(`${client.url}/api/stream?request_id=${ids[2]}&format=console`, {
    headers: OFFICIAL,
  });
  let text = "";
  for await (const chunk of stream.body!) {
    text += new TextDecoder().decode(chunk);
    if (text.includes(`${why} (2 ahead)`)) break;
  }
  assert(text.includes(`<sky-payload>"<rich_init>[dim]Checking request: ${ids[2]}[/dim]`), text);
});
