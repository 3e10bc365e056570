/**
 * The same load on both servers. A long request is a launch that waits: on SkyPilot's server in an admin policy
 * (tests/support/official_server.ts), on ours at a failpoint. Load comes over TCP for both.
 */
import { delay } from "@std/async/delay";
import { OfficialClient, taskYaml } from "../../tests/support/official_client.ts";
import { until } from "../../tests/support/sky.ts";
import { quantile } from "./measure.ts";
import type { Pair } from "./skypilot_rows.ts";
import { type Side, Sides, treeMiB, treeSeconds } from "./skypilot_sides.ts";

export async function idleRows(sides: Sides, { seconds }: { seconds: number }): Promise<Pair[]> {
  for (const side of sides.both) await side.command(["status"]);
  await delay(seconds * 1_000);
  const [ours, theirs] = [await treeMiB(sides.ours), await treeMiB(sides.theirs)];
  const [few, many] = [(await sides.ours.processes()).length, (await sides.theirs.processes()).length];
  return [{
    what: "idle server after one status",
    ours,
    theirs,
    unit: "MiB",
    note: `PSS of the tree; ${few} and ${many} processes`,
  }];
}

/** In turns of fifty, eight at once: SkyPilot's server makes a process for each, which the machine must bear. */
export async function shortRequestRows(sides: Sides, { count }: { count: number }): Promise<Pair[]> {
  const spent = { ours: 0, theirs: 0 };
  const latencies: Record<Side["name"], number[]> = { ours: [], theirs: [] };
  for (let done = 0; done < count; done += 50) {
    for (const side of sides.both) {
      const began = performance.now();
      latencies[side.name].push(...await shortRequests(side, Math.min(50, count - done)));
      spent[side.name] += (performance.now() - began) / 1_000;
    }
  }
  const p99 = (side: Side["name"]) => quantile(latencies[side], 0.99);
  return [
    {
      what: `${count} short requests, submitted to finished`,
      ours: count / spent.ours,
      theirs: count / spent.theirs,
      unit: "/s",
      more: true,
      note: "POST /status and GET /api/get, 8 at once",
    },
    { what: "… p99 of one", ours: p99("ours"), theirs: p99("theirs"), unit: "ms", note: "" },
  ];
}

async function shortRequests(side: Side, count: number): Promise<number[]> {
  const client = new OfficialClient(side.url);
  const latencies: number[] = [];
  let left = count;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (left-- > 0) {
      const began = performance.now();
      await client.result("/status", { cluster_names: null, refresh: "NONE", all_users: true });
      latencies.push(performance.now() - began);
    }
  }));
  return latencies;
}

/** How long SkyPilot's server may take to start a request: each is a process that loads all of it. */
const THEIR_START_MS = 180_000;
/** Seconds without another start after which it starts no more. */
const STILL_S = 15;

/** Both servers with so many launches under way that wait. */
async function holdAll(
  sides: Sides,
  count: number,
): Promise<{ file: string; ids: Record<Side["name"], string[]> }> {
  // Ours is started anew with its failpoint set.
  await sides.sky.ok(["api", "stop"]);
  sides.sky.env.SKY_FAILPOINT = "hold:sky.launch";
  await sides.sky.ok(["api", "start"]);
  const url = (await sides.sky.registration())!.url;
  const file = await sides.official.hold();
  const ids: Record<Side["name"], string[]> = { ours: [], theirs: [] };
  for (let number = 0; number < count; number++) {
    ids.ours.push(await submit(url, number, ""));
    ids.theirs.push(await submit(sides.theirs.url, number, `envs:\n  HOLD: ${file}\n`));
  }
  return { file, ids };
}

function submit(url: string, number: number, more: string): Promise<string> {
  const task = taskYaml("true", more);
  return new OfficialClient(url).submit("/launch", {
    task,
    cluster_name: `held${number}`,
    quiet_optimizer: true,
  });
}

async function countRunning(url: string, ids: readonly string[]): Promise<number> {
  const states = await new OfficialClient(url).states(ids);
  return [...states.values()].filter((state) => state === "RUNNING").length;
}

export async function inFlightRows(sides: Sides, { count }: { count: number }): Promise<Pair[]> {
  const before = { ours: await treeMiB(sides.ours), theirs: await treeMiB(sides.theirs) };
  const { ids } = await holdAll(sides, count);
  const url = (await sides.sky.registration())!.url;
  await until(async () => await countRunning(url, ids.ours) === count, {
    what: "our launches",
    timeoutMs: 60_000,
  });
  await until(async () => await countRunning(sides.theirs.url, ids.theirs) > 0, {
    what: "its launches",
    timeoutMs: THEIR_START_MS,
  });
  // It runs as many at once as it sees fit: what counts is what runs once nothing more starts.
  let running = 0;
  for (let still = 0; still < STILL_S && running < count; still++) {
    const now = await countRunning(sides.theirs.url, ids.theirs);
    if (now > running) still = 0;
    running = now;
    await delay(1_000);
  }
  const ours = (await treeMiB(sides.ours) - before.ours) / count;
  const theirs = (await treeMiB(sides.theirs) - before.theirs) / running;
  return [
    {
      what: "memory of one long request in flight",
      ours: Math.max(ours, 0.01),
      theirs,
      unit: "MiB",
      note: "PSS",
    },
    { what: `… RUNNING at once of ${count}`, ours: count, theirs: running, unit: "", more: true, note: "" },
  ];
}

/** Followers of one log with 50 lines a second: ours a job's, theirs a request's (there are no jobs without a cloud). */
export async function followerRows(
  sides: Sides,
  { count, seconds }: { count: number; seconds: number },
): Promise<Pair[]> {
  const script = "while :; do date +%s%N@; sleep 0.02; done";
  await sides.sky.ok(["launch", "-c", "talk", "--cpus", "0.1", "-y", "-d", script]);
  const file = await sides.official.hold();
  const id = await submit(sides.theirs.url, 0, `envs:\n  HOLD: ${file}\n  HOLD_TALK: '0.02'\n`);
  await until(async () => await countRunning(sides.theirs.url, [id]) === 1, {
    what: "its launch",
    timeoutMs: THEIR_START_MS,
  });
  const body = JSON.stringify({
    ...new OfficialClient("").envelope("bench"),
    cluster_name: "talk",
    job_id: 1,
    follow: true,
    tail: 1,
  });
  const open: Record<Side["name"], (signal: AbortSignal) => Promise<Response>> = {
    ours: (signal) =>
      fetch(`${sides.ours.url}/logs`, {
        method: "POST",
        body,
        signal,
        headers: { "Content-Type": "application/json" },
      }),
    theirs: (signal) =>
      fetch(`${sides.theirs.url}/api/stream?request_id=${id}&follow=true&format=console&tail=1`, { signal }),
  };
  const figures = { ours: { cpu: 0, lags: [0] }, theirs: { cpu: 0, lags: [0] } };
  for (const side of sides.both) {
    figures[side.name] = await follow(side, { open: open[side.name], count, seconds });
  }
  await Deno.remove(file);
  const lag = (side: Side["name"], q: number) => quantile(figures[side].lags, q);
  const note = `50 lines/s; p50 ${lag("ours", 0.5).toFixed(1)} and ${lag("theirs", 0.5).toFixed(1)} ms; ` +
    `${figures.ours.lags.length} and ${figures.theirs.lags.length} lines seen`;
  return [
    {
      what: `${count} log followers, lag p99`,
      ours: lag("ours", 0.99),
      theirs: lag("theirs", 0.99),
      unit: "ms",
      note,
    },
    {
      what: "… processor of the server's tree",
      ours: figures.ours.cpu * 100,
      theirs: figures.theirs.cpu * 100,
      unit: "% of a core",
      note: "",
    },
  ];
}

async function follow(
  side: Side,
  { open, count, seconds }: {
    open: (signal: AbortSignal) => Promise<Response>;
    count: number;
    seconds: number;
  },
): Promise<{ cpu: number; lags: number[] }> {
  const leave = new AbortController();
  const lags: number[] = [];
  let counting = false;
  const readers: ReadableStreamDefaultReader<string>[] = [];
  const followers = Array.from({ length: count }, async () => {
    const reader = (await open(leave.signal)).body!.pipeThrough(new TextDecoderStream()).getReader();
    readers.push(reader);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (!counting) continue;
      const now = performance.timeOrigin + performance.now();
      for (const [, at] of value.matchAll(/(\d{19})@/g)) lags.push(now - Number(at) / 1e6);
    }
  });
  await delay(2_000);
  counting = true;
  const [began, used] = [performance.now(), await treeSeconds(side)];
  await delay(seconds * 1_000);
  const cpu = (await treeSeconds(side) - used) / ((performance.now() - began) / 1_000);
  counting = false;
  // Those that came through end by this; who still waits for an answer, by the signal.
  await Promise.all(readers.map((reader) => reader.cancel()));
  leave.abort();
  await Promise.allSettled(followers);
  return { cpu, lags: lags.length > 0 ? lags : [NaN] };
}

/** kill -9 of both whole servers with launches under way, then a start: what became of the requests. */
export async function crashRows(sides: Sides, { count }: { count: number }): Promise<Pair[]> {
  const { file, ids } = await holdAll(sides, count);
  const url = (await sides.sky.registration())!.url;
  await until(async () => await countRunning(url, ids.ours) === count, {
    what: "our launches",
    timeoutMs: 60_000,
  });
  await until(async () => await countRunning(sides.theirs.url, ids.theirs) > 0, {
    what: "its launches",
    timeoutMs: THEIR_START_MS,
  });
  await sides.sky.killServer();
  await sides.official.kill();
  await Deno.remove(file); // nothing waits any more
  delete sides.sky.env.SKY_FAILPOINT;
  await sides.sky.ok(["api", "start"]);
  await sides.official.run();
  const again = (await sides.sky.registration())!.url;
  await until(async () => (await outcomes(again, ids.ours)).open === 0, {
    what: "our launches to finish",
    timeoutMs: 120_000,
  });
  await delay(10_000);
  const ours = await outcomes(again, ids.ours);
  const theirs = await outcomes(sides.theirs.url, ids.theirs);
  const what = `kill -9 with ${count} requests in flight`;
  return [
    {
      what: `${what}: lost`,
      ours: ours.lost,
      theirs: theirs.lost,
      unit: "",
      note: "unknown after the restart",
    },
    { what: "… kept", ours: count - ours.lost, theirs: count - theirs.lost, unit: "", more: true, note: "" },
    {
      what: "… finished",
      ours: ours.succeeded,
      theirs: theirs.succeeded,
      unit: "",
      more: true,
      note: "SUCCEEDED",
    },
  ];
}

async function outcomes(
  url: string,
  ids: readonly string[],
): Promise<{ lost: number; open: number; succeeded: number }> {
  const states = await new OfficialClient(url).states(ids);
  const found = [...states.values()];
  return {
    lost: ids.length - found.length,
    open: found.filter((state) => state === "PENDING" || state === "RUNNING").length,
    succeeded: found.filter((state) => state === "SUCCEEDED").length,
  };
}
