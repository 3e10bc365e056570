/** Following logs (P5) over a network that cuts, swallows and lies, and over the server's death. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { stripVTControlCharacters } from "node:util";
import { join } from "@std/path";
import { FrameReader, FrameWriter } from "../../api/frames.ts";
import { SkyError } from "../../core/errors.ts";
import { TIMING } from "../../sdk/timing.ts";
import { random } from "../clusters/random.ts";
import { BadNetwork, type Fate } from "../support/bad_network.ts";
import { launchBody, type OfficialClient, skyAt, startedClient } from "../support/official_client.ts";
import { TestSky, until } from "../support/sky.ts";

const CUTS = 200;

/** What a log showed. */
class Shown {
  text = "";
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });

  data(bytes: Uint8Array): void {
    this.text += this.#decoder.decode(bytes, { stream: true });
  }
  status(): void {}
}

/** CUTS fates at random bytes of both directions; never thrice in a row without progress, as clients give up then. */
function randomFates(seed: number): () => Fate | null {
  const numbers = random(seed);
  let left = CUTS;
  let early = false;
  return () => {
    if (left-- <= 0) return null;
    early = !early && numbers.below(3) === 0;
    if (!early) return { down: 1500 + numbers.below(2000) };
    return numbers.below(2) === 0 ? { up: 1 + numbers.below(300) } : { down: 1 + numbers.below(1500) };
  };
}

/** A shell script that prints numbered lines in bursts over some seconds and exits 3. */
function printing(lines: number, burst: number, pause: number): string {
  return `i=0; while [ $i -lt ${lines} ]; do echo "line $i é of a log that grows while it is being followed"; ` +
    `i=$((i+1)); [ $((i % ${burst})) -ne 0 ] || sleep ${pause}; done; exit 3`;
}

/** The numbers of the lines in a log, in order. */
function numbersIn(text: string): number[] {
  const numbered = /(?<=[)m] )line (\d+) é of a log that grows while it is being followed\n/g;
  return [...text.matchAll(numbered)].map(([, number]) => Number(number));
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Files that a launch does not copy, but tells of in its log. */
async function makePipes(folder: string, count: number): Promise<void> {
  await Deno.mkdir(folder);
  const files = upTo(count).map((i) => join(folder, `a-pipe-that-is-not-copied-${i}`));
  for (let at = 0; at < count; at += 1000) {
    await new Deno.Command("mkfifo", { args: files.slice(at, at + 1000) }).output();
  }
}

/** The port that the server of this home has now. */
function portOf(sky: TestSky): () => { port: number } {
  return () => JSON.parse(Deno.readTextFileSync(join(sky.env.SKY_HOME!, "server.json")));
}

async function launchDetached(client: OfficialClient, cluster: string, script: string): Promise<void> {
  await client.result("/launch", launchBody(cluster, script));
}

Deno.test("a growing request log, cut 200 times, shows every byte once and ends as the request did", async () => {
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  const workdir = join(sky.work, "wd");
  await makePipes(workdir, 3500);
  await using network = new BadNetwork(portOf(sky), randomFates(1));
  using sdk = skyAt(network.url);
  const id = await client.submit("/launch", launchBody("w", "echo x", `workdir: ${workdir}\n`));
  const shown = new Shown();
  const result = await sdk.streamAndGet(id, shown) as { job_id: number };
  assertEquals([network.cuts, result.job_id], [CUTS, 1]);
  const plain = await client.fetch(`/api/stream?request_id=${id}&format=plain`);
  assertEquals(shown.text, await plain.text());
  const told = [...shown.text.matchAll(/a-pipe-that-is-not-copied-(\d+):/g)].map(([, number]) =>
    Number(number)
  );
  assertEquals(told.toSorted((a, b) => a - b), upTo(3500));
});

Deno.test("a growing job log, cut 200 times, shows every byte once and gives the job's exit code", async () => {
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  await using network = new BadNetwork(portOf(sky), randomFates(2));
  using sdk = skyAt(network.url);
  await launchDetached(client, "j", printing(6000, 600, 0.2));
  const shown = new Shown();
  assertEquals(await sdk.tailLogs({ cluster_name: "j", job_id: 1 }, shown), 100);
  assertEquals(network.cuts, CUTS);
  assertEquals(numbersIn(shown.text), upTo(6000));
  using direct = skyAt(client.url);
  const again = new Shown();
  assertEquals(await direct.tailLogs({ cluster_name: "j", job_id: 1 }, again), 100);
  assertEquals(shown.text, again.text);
  await until(async () => (await client.states()).size === 0, { what: "the cut streams' requests to end" });
});

Deno.test("sky logs shows every line once over kills of the server and exits with the job's code", async () => {
  await using sky = await TestSky.make();
  await launchDetached(await startedClient(sky), "k", printing(400, 4, 0.05));
  const child = sky.spawn(["logs", "k", "1", "--tail", "0"], { env: { NO_COLOR: "1" } });
  let text = "";
  let kills = 0;
  const decoder = new TextDecoder();
  const errors = new Response(child.stderr).text();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (kills < 3 && numbersIn(text).length > 40 + 100 * kills) {
      kills++;
      await sky.killServer();
    }
  }
  const { code } = await child.status;
  assertEquals([code, kills], [100, 3], await errors);
  assertEquals(numbersIn(text), upTo(400));
});

Deno.test("sky api logs shows the request's log, every byte once, over kills while it grows", async () => {
  await using sky = await TestSky.make();
  let client = await startedClient(sky);
  const workdir = join(sky.work, "wd");
  await makePipes(workdir, 300);
  for (let i = 0; i < 4; i++) {
    using file = await Deno.open(join(workdir, `${i}.bin`), { create: true, write: true });
    await file.truncate(60 << 20);
  }
  const id = await client.submit("/launch", launchBody("r", "true", `workdir: ${workdir}\n`));
  const child = sky.spawn(["api", "logs", id], { env: { NO_COLOR: "1" } });
  const errors = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let text = "";
  let kills = 0;
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (kills === 2 || !text.includes("a-pipe-")) continue;
    kills++;
    await sky.killServer();
  }
  const { code } = await child.status;
  assertEquals(code, 0, await errors);
  assert(kills > 0);
  client = await startedClient(sky);
  const { payload, value } = await client.get(id);
  assertEquals([payload.status, (value as { job_id: number }).job_id], ["SUCCEEDED", 1]);
  const plain = await client.fetch(`/api/stream?request_id=${id}&format=plain`);
  assertEquals(text.trimEnd(), stripVTControlCharacters(await plain.text()).trimEnd());
});

Deno.test("a stream without its end marker is an error of the command, whatever else it showed", async () => {
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  const id = await client.submit("/launch", launchBody("e", "echo shown"));
  await client.get(id);
  // An honest server whose end markers get lost: every answer ends as if it were complete.
  await using loser = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.delete("host");
    const body = request.method === "POST" ? await request.arrayBuffer() : null;
    const answer = await fetch(`${client.url}${pathname}${search}`, {
      method: request.method,
      headers,
      body,
    });
    if (!answer.headers.get("content-type")?.startsWith("application/x-sky-frames")) return answer;
    const frames = answer.body!.pipeThrough(new FrameReader()).pipeThrough(
      new TransformStream({
        transform(frame, controller) {
          if (frame.kind !== "end") controller.enqueue(frame);
        },
      }),
    );
    return new Response(frames.pipeThrough(new FrameWriter()), { headers: answer.headers });
  });
  const env = { SKYPILOT_API_SERVER_ENDPOINT: `http://127.0.0.1:${loser.addr.port}` };
  const [job, request] = await Promise.all([
    sky.run(["logs", "e", "1"], { env }),
    sky.run(["api", "logs", id], { env }),
  ]);
  assertStringIncludes(job.stdout, ") shown\n");
  assertStringIncludes(request.stdout, "Cluster launched: e.");
  for (const { code, stderr } of [job, request]) {
    assertEquals(code, 1);
    assertStringIncludes(stderr, "ended without its end marker");
  }
  await until(async () => (await client.states()).size === 0, { what: "the streams' requests to end" });
});

Deno.test("a peer that swallows everything is noticed in time, and the log goes on elsewhere", async () => {
  assert(TIMING.silence <= 30_000);
  await using sky = await TestSky.make();
  const client = await startedClient(sky);
  await launchDetached(client, "d", printing(300, 10, 0.1));
  const timing = { silence: 700, resend: 1000 };
  await using network = new BadNetwork(
    portOf(sky),
    (connection) => connection < 3 ? { down: 3000, swallow: true } : null,
  );
  using sdk = skyAt(network.url, { timing });
  const shown = new Shown();
  assertEquals(await sdk.tailLogs({ cluster_name: "d", job_id: 1 }, shown), 100);
  assertEquals(network.cuts, 3);
  assertEquals(numbersIn(shown.text), upTo(300));

  await using grave = new BadNetwork(portOf(sky), () => ({ down: 1, swallow: true }));
  using dead = skyAt(grave.url, { timing });
  const started = performance.now();
  const follow = () => dead.tailLogs({ cluster_name: "d", job_id: 1 }, new Shown());
  await assertRejects(follow, SkyError);
  const took = performance.now() - started;
  assert(took < 10 * timing.silence + timing.resend, `noticed after ${took} ms`);
});
