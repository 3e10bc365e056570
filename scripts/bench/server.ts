/** What the server costs and bears: memory, durable submissions, latency under rows and load, followers. */
import { delay } from "@std/async/delay";
import { type TestSky, until } from "../../tests/support/sky.ts";
import { Connection, type Exchange, requestBytes, type Target, targetOf } from "./load.ts";
import { Loader } from "./loader.ts";
import { freshSky, quantile, residentMiB } from "./measure.ts";
import { seedRows } from "./seed.ts";
import type { Row } from "./table.ts";

const ROWS = 100_000;
const STATUS: Exchange = { method: "POST", path: "/status", body: {} };
const LAUNCH: Exchange = {
  method: "POST",
  path: "/launch",
  body: { cluster_name: "m#", task: "resources:\n  infra: local\n  cpus: 0.1\nrun: 'true'\n" },
};

export async function serverRows(): Promise<Row[]> {
  return [...await idle(), ...await submissions(), ...await manyRequests(), ...await followers()];
}

async function started(
  env: Record<string, string> = {},
): Promise<{ sky: TestSky; pid: number; target: Target }> {
  const sky = await freshSky(env);
  await sky.ok(["api", "start"]);
  const { pid, url } = (await sky.registration())!;
  return { sky, pid, target: targetOf(url) };
}

/** Longest wait of a health probe every 10 ms: what a stalled event loop would show. */
async function whileProbing<T>(target: Target, work: () => Promise<T>): Promise<{ value: T; worst: number }> {
  let worst = 0;
  let running = true;
  const health = requestBytes({ method: "GET", path: "/api/health" }, 0);
  const probe = (async () => {
    using connection = await Connection.open(target);
    while (running) {
      const at = performance.now();
      await connection.exchange(health);
      worst = Math.max(worst, performance.now() - at);
      await delay(10);
    }
  })();
  try {
    return { value: await work(), worst };
  } finally {
    running = false;
    await probe;
  }
}

export async function idle(): Promise<Row[]> {
  const { sky, pid } = await started();
  await using _ = sky;
  await sky.ok(["launch", "-c", "one", "--cpus", "0.1", "-y", "true"]);
  await delay(5_000);
  return [{
    what: "server, idle after one launch",
    figure: residentMiB(pid),
    unit: "MiB RSS",
    target: 100,
    note: "",
  }];
}

export async function submissions(): Promise<Row[]> {
  const { sky, pid, target } = await started();
  await using _ = sky;
  using load = new Loader(target);
  await load.hammer({ exchange: STATUS, count: 500, concurrency: 32 });
  const { value: { latencies, seconds }, worst } = await whileProbing(
    target,
    () => load.hammer({ exchange: STATUS, count: 10_000, concurrency: 32 }),
  );
  return [
    {
      what: "durable submissions, 32 at once",
      figure: latencies.length / seconds,
      unit: "/s",
      target: 1_000,
      atLeast: true,
      note: `POST /status; each also runs; ${residentMiB(pid).toFixed(0)} MiB after`,
    },
    {
      what: "… p99",
      figure: quantile(latencies, 0.99),
      unit: "ms",
      target: 50,
      note: `p50 ${quantile(latencies, 0.5).toFixed(1)} ms`,
    },
    { what: "… slowest health probe", figure: worst, unit: "ms", target: 100, note: "" },
  ];
}

export async function manyRequests(): Promise<Row[]> {
  const seeded = await started();
  {
    using model = new Loader(seeded.target);
    await model.hammer({ exchange: STATUS, count: 1, concurrency: 1 });
  }
  await seeded.sky.ok(["api", "stop"]);
  await seedRows(seeded.sky, ROWS);
  // Every launch is held before its work begins and stays there: RUNNING, in one process.
  seeded.sky.env.SKY_FAILPOINT = "hold:sky.launch";
  await using sky = seeded.sky;
  await sky.ok(["api", "start"]);
  const { pid, url } = (await sky.registration())!;
  const target = targetOf(url);
  using load = new Loader(target);
  const before = residentMiB(pid);
  const { value: status, worst } = await whileProbing(target, async () => {
    await load.hammer({ exchange: LAUNCH, count: 500, concurrency: 16 });
    await running(sky, 500);
    const measured = await load.hammer({ exchange: STATUS, count: 1_000, concurrency: 8 });
    await load.hammer({ exchange: LAUNCH, count: 500, concurrency: 16, from: 500 });
    await running(sky, 1_000);
    return measured.latencies;
  });
  const after = residentMiB(pid);
  const list = await load.hammer({
    exchange: { method: "GET", path: "/api/status?limit=50" },
    count: 200,
    concurrency: 4,
  });
  return [
    {
      what: "POST /status p99, 100k rows, 500 in flight",
      figure: quantile(status, 0.99),
      unit: "ms",
      target: 50,
      note: "",
    },
    {
      what: "GET /api/status p99, same",
      figure: quantile(list.latencies, 0.99),
      unit: "ms",
      target: 50,
      note: "",
    },
    {
      what: "1,000 RUNNING requests",
      figure: after - before,
      unit: "MiB more",
      target: 100,
      note: `${after.toFixed(0)} MiB in all`,
    },
    {
      what: "slowest health probe meanwhile",
      figure: worst,
      unit: "ms",
      target: 100,
      note: "event-loop lag, seen from outside",
    },
  ];
}

async function running(sky: TestSky, count: number): Promise<void> {
  await until(async () => {
    const records: { status: string; name: string }[] = JSON.parse(
      await sky.ok(["api", "status", "-l", "all", "-o", "json"]),
    );
    return records.filter((record) => record.status === "RUNNING" && record.name === "sky.launch").length >=
      count;
  }, { what: `${count} RUNNING launches`, timeoutMs: 120_000 });
}

/** 1,000 followers of one job's log: each line carries the time at which it was printed. */
export async function followers(): Promise<Row[]> {
  const { sky, pid, target } = await started();
  await using _ = sky;
  using load = new Loader(target);
  const script = "i=0; while [ $i -lt 100000 ]; do date +@%s%N@; sleep 0.2; i=$((i+1)); done";
  await sky.ok(["launch", "-c", "talk", "--cpus", "0.1", "-y", "-d", script]);
  const logs: Exchange = {
    method: "POST",
    path: "/logs",
    body: { cluster_name: "talk", job_id: 1, follow: true, tail: 1 },
  };
  const connecting = await whileProbing(target, () => load.follow(logs, 1_000));
  await delay(3_000);
  await load.lags();
  const { worst } = await whileProbing(target, () => delay(10_000));
  const lags = await load.lags();
  const memory = residentMiB(pid);
  await load.leave();
  return [
    {
      what: "1,000 followers of one log, lag p99",
      figure: quantile(lags, 0.99),
      unit: "ms",
      target: 50,
      note: `p50 ${quantile(lags, 0.5).toFixed(1)} ms, ${lags.length} lines seen`,
    },
    { what: "… memory", figure: memory, unit: "MiB RSS", target: 200, note: "" },
    {
      what: "… slowest health probe",
      figure: worst,
      unit: "ms",
      target: 100,
      note: `while they connect ${connecting.worst.toFixed(0)} ms`,
    },
  ];
}
