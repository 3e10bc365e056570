/** What the server costs and bears: memory, durable submissions, latency under rows and load, followers. */
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { createClient } from "@libsql/client";
import { type TestSky, until } from "../../tests/support/sky.ts";
import { Connection, hammer, type Target, targetOf } from "./load.ts";
import { freshSky, quantile, residentMiB } from "./measure.ts";
import type { Row } from "./table.ts";

const ROWS = 100_000;

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
  const probe = (async () => {
    using connection = await Connection.open(target);
    while (running) {
      const at = performance.now();
      await connection.get("/api/health");
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

async function idle(): Promise<Row[]> {
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

async function submissions(): Promise<Row[]> {
  const { sky, target } = await started();
  await using _ = sky;
  const one = (connection: Connection) => connection.post("/status");
  await hammer(target, { count: 500, concurrency: 32, one });
  const { latencies, seconds } = await hammer(target, { count: 5_000, concurrency: 32, one });
  return [
    {
      what: "durable submissions, 32 at once",
      figure: latencies.length / seconds,
      unit: "/s",
      target: 1_000,
      atLeast: true,
      note: "POST /status; each also runs",
    },
    { what: "… p99", figure: quantile(latencies, 0.99), unit: "ms", target: 50, note: "" },
  ];
}

async function manyRequests(): Promise<Row[]> {
  const seeded = await started();
  await seeded.sky.ok(["api", "stop"]);
  await seedRows(seeded.sky);
  // Every launch stops before its first step and waits there: RUNNING, in one process.
  seeded.sky.env.SKY_FAILPOINT = "before_step=pause";
  await using sky = seeded.sky;
  await sky.ok(["api", "start"]);
  const { pid, url } = (await sky.registration())!;
  const target = targetOf(url);
  const before = residentMiB(pid);
  const launch = (from: number) => (connection: Connection, i: number) =>
    connection.post("/launch", {
      cluster_name: `m${from + i}`,
      task: "resources:\n  infra: local\n  cpus: 0.1\nrun: 'true'\n",
    });
  const { value, worst } = await whileProbing(target, async () => {
    await hammer(target, { count: 500, concurrency: 16, one: launch(0) });
    await running(sky, 500);
    const status = await hammer(target, {
      count: 1_000,
      concurrency: 8,
      one: (connection) => connection.post("/status"),
    });
    await hammer(target, { count: 500, concurrency: 16, one: launch(500) });
    await running(sky, 1_000);
    return status.latencies;
  });
  const after = residentMiB(pid);
  const list = await hammer(target, {
    count: 200,
    concurrency: 4,
    one: (connection) => connection.get("/api/status?limit=50"),
  });
  return [
    {
      what: "POST /status p99, 100k rows, 500 in flight",
      figure: quantile(value, 0.99),
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

async function seedRows(sky: TestSky): Promise<void> {
  const database = createClient({ url: `file:${join(sky.env.SKY_HOME!, "sky.db")}`, concurrency: 1 });
  const { columns, rows } = await database.execute("SELECT * FROM requests LIMIT 1");
  const model = rows[0];
  if (model === undefined) throw new Error("Cannot seed rows: no request to copy");
  const fresh = columns.filter((column) =>
    !["id", "idempotency_key", "created_at", "finished_at"].includes(column)
  );
  const names = ["id", "created_at", "finished_at", ...fresh];
  const sql = `INSERT INTO requests (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
  const now = Date.now();
  for (let from = 0; from < ROWS; from += 10_000) {
    await database.batch(
      Array.from({ length: 10_000 }, (_, i) => ({
        sql,
        args: [
          crypto.randomUUID(),
          now - (from + i) * 100,
          now - (from + i) * 100 + 50,
          ...fresh.map((c) => model[c]!),
        ],
      })),
      "write",
    );
  }
  database.close();
}

/** 1,000 followers of one job's log: each line carries the time at which it was printed. */
async function followers(): Promise<Row[]> {
  const { sky, pid, target } = await started();
  await using _ = sky;
  const script = "i=0; while [ $i -lt 100000 ]; do date +@%s%N@; sleep 0.2; i=$((i+1)); done";
  await sky.ok(["launch", "-c", "talk", "--cpus", "0.1", "-y", "-d", script]);
  const lags: number[] = [];
  let open = true;
  const connections: Deno.Conn[] = [];
  const readers: Promise<void>[] = [];
  const body = JSON.stringify({
    env_vars: { SKYPILOT_USER_ID: "be7c0000", SKYPILOT_USER: "bench" },
    cluster_name: "talk",
    job_id: 1,
    follow: true,
    tail: 1,
  });
  for (let i = 0; i < 1_000; i++) {
    const connection = await Deno.connect(target);
    connections.push(connection);
    await connection.write(new TextEncoder().encode(
      `POST /logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ));
    readers.push(read(connection, (lag) => {
      if (open) lags.push(lag);
    }));
    if (i % 50 === 49) await delay(50);
  }
  await delay(3_000);
  lags.length = 0;
  const { worst } = await whileProbing(target, () => delay(10_000));
  const memory = residentMiB(pid);
  open = false;
  for (const connection of connections) connection.close();
  await Promise.all(readers);
  return [
    {
      what: "1,000 followers of one log, lag p99",
      figure: quantile(lags, 0.99),
      unit: "ms",
      target: 50,
      note: `p50 ${quantile(lags, 0.5).toFixed(1)} ms, ${lags.length} lines seen`,
    },
    { what: "… memory", figure: memory, unit: "MiB RSS", target: 200, note: "" },
    { what: "… slowest health probe", figure: worst, unit: "ms", target: 100, note: "" },
  ];
}

async function read(connection: Deno.Conn, seen: (lag: number) => void): Promise<void> {
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  for (;;) {
    const count = await connection.read(buffer).catch(() => null); // closed by the bench itself
    if (count === null) return;
    const now = performance.timeOrigin + performance.now();
    const stamps = [...decoder.decode(buffer.subarray(0, count)).matchAll(/@(\d{19})@/g)];
    const last = stamps.at(-1);
    if (last !== undefined) seen(now - Number(last[1]) / 1e6);
  }
}
