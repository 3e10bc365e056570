/**
 * Chaos: random mixed load while the server is killed with -9, at random moments and at named failpoints; then
 * the invariants are checked against the client's model. Used by chaos_test.ts and scripts/chaos.ts.
 *
 * Checked: nothing acknowledged is lost; a final state stays; a job runs at most once, and exactly once when it
 * is said to have succeeded; logs only grow and never change; every open request has an owner or a stated reason
 * within 5 s of a start; no process of a finished request is alive; the database is sound.
 */
import { join } from "@std/path";
import { delay } from "@std/async/delay";
import { createClient } from "@libsql/client";
import { isAlive, signal, TestSky, until } from "../support/sky.ts";
import { type Kind, pick, random, type Sent } from "./model.ts";

export const FAILPOINTS = [
  "before_insert",
  "after_insert",
  "before_start",
  "after_start",
  "before_step",
  "after_step",
  "before_result",
  "after_result",
  "before_recover",
  "after_recover",
  "before_commit",
  "after_commit",
  "before_checkpoint",
  "after_checkpoint",
  "before_provision",
  "after_provision",
  "before_job_start",
  "after_job_start",
  "before_job_end",
  "after_job_end",
] as const;

export interface ChaosOptions {
  readonly seed: number;
  readonly cycles: number;
  readonly log?: (line: string) => void;
}

export interface ChaosResult {
  readonly sent: number;
  readonly acknowledged: number;
  readonly kills: number;
  /** Jobs that the queue called SUCCEEDED and whose one run was seen on disk. */
  readonly jobsProven: number;
  /** Log bytes compared with what was read before. */
  readonly logBytes: number;
  readonly violations: readonly string[];
}

const CLUSTERS = ["a", "b", "c"];
const USER = { SKYPILOT_USER_ID: "c4a05000", SKYPILOT_USER: "chaos" };

export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  await using sky = await TestSky.make(USER);
  const run = new Chaos(sky, options);
  await run.go();
  return run.result();
}

class Chaos {
  readonly #sky: TestSky;
  readonly #options: ChaosOptions;
  readonly #next: () => number;
  readonly #sent: Sent[] = [];
  readonly #violations: string[] = [];
  readonly #marks: string;
  #kills = 0;
  #jobsProven = 0;
  #logBytes = 0;
  #server: Deno.ChildProcess | null = null;
  #url = "";

  constructor(sky: TestSky, options: ChaosOptions) {
    this.#sky = sky;
    this.#options = options;
    this.#next = random(options.seed);
    this.#marks = join(sky.home, "marks");
  }

  result(): ChaosResult {
    return {
      sent: this.#sent.length,
      acknowledged: this.#sent.filter((sent) => sent.id !== null).length,
      kills: this.#kills,
      jobsProven: this.#jobsProven,
      logBytes: this.#logBytes,
      violations: this.#violations,
    };
  }

  async go(): Promise<void> {
    await Deno.mkdir(this.#marks);
    for (let cycle = 0; cycle < this.#options.cycles; cycle++) {
      const atFailpoint = this.#next() < 0.5;
      const point = atFailpoint
        ? `${pick(FAILPOINTS, this.#next)}:${1 + Math.floor(this.#next() * 6)}`
        : null;
      await this.#start(point);
      await this.#resend();
      await this.#load(300 + this.#next() * 900);
      await this.#kill();
      this.#options.log?.(
        `cycle ${cycle + 1}: ${
          point ?? "random"
        }, ${this.#sent.length} sent, ${this.#violations.length} violations`,
      );
    }
    await this.#start(null);
    await this.#resend();
    await this.#settle();
    await this.#check();
  }

  // --- the server

  async #start(failpoint: string | null): Promise<void> {
    const began = Date.now();
    const env = failpoint === null ? {} : { SKY_FAILPOINT: failpoint };
    this.#server = this.#sky.spawn(
      ["__server", "-m", "sky.server.server", "--home", this.#sky.env.SKY_HOME!, "--port", "0"],
      { env, stdio: "null" },
    );
    const pid = this.#server.pid;
    await until(async () => {
      const registration = await this.#sky.registration();
      if (!isAlive(pid)) return true; // its failpoint struck while it recovered
      if (registration?.pid !== pid) return false;
      this.#url = registration.url;
      return await this.#health();
    }, { what: "the server to answer" });
    if (!isAlive(pid)) return;
    await this.#owned(began);
  }

  async #health(): Promise<boolean> {
    try {
      const response = await fetch(`${this.#url}/api/health`);
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false; // not listening yet, or killed again: the caller polls
    }
  }

  async #kill(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    signal(server.pid, "SIGKILL");
    await server.status;
    this.#kills++;
    this.#server = null;
  }

  /** Five seconds after a start every open request runs or says why it waits. */
  async #owned(began: number): Promise<void> {
    const deadline = began + 5_000;
    for (;;) {
      const open = await this.#records("").catch(() => null); // killed meanwhile by its failpoint
      if (open === null) return;
      const orphans = open.filter((record) => record.status === "PENDING" && !record.status_msg);
      if (orphans.length === 0) return;
      if (Date.now() > deadline) {
        this.#violate(
          `without an owner 5 s after a start: ${orphans.map((o) => `${o.name} ${o.request_id}`)}`,
        );
        return;
      }
      await delay(100);
    }
  }

  // --- load

  async #load(ms: number): Promise<void> {
    const end = Date.now() + ms;
    const workers = Array.from({ length: 4 }, async () => {
      while (Date.now() < end && this.#server !== null && isAlive(this.#server.pid)) {
        await this.#one();
        await delay(this.#next() * 60);
      }
    });
    workers.push(this.#watch(end));
    await Promise.all(workers);
  }

  async #one(): Promise<void> {
    const draw = this.#next();
    const cluster = pick(CLUSTERS, this.#next);
    const kind: Kind = draw < 0.3
      ? "launch"
      : draw < 0.55
      ? "exec"
      : draw < 0.7
      ? "status"
      : draw < 0.82
      ? "queue"
      : draw < 0.9
      ? "cancel"
      : draw < 0.92
      ? "down"
      : draw < 0.94
      ? "stop"
      : "autostop";
    const sent = this.#make(kind, cluster);
    if (sent === null) return;
    this.#sent.push(sent);
    await this.#post(sent);
  }

  #make(kind: Kind, cluster: string): Sent | null {
    const key = `${this.#options.seed}-${this.#sent.length}`;
    const base = { kind, key, cluster, token: null, id: null, final: null, log: new Uint8Array() };
    switch (kind) {
      case "launch":
      case "exec": {
        const token = `t${key}`;
        const seconds = (this.#next() * 0.6).toFixed(2);
        const file = join(this.#marks, token);
        const task = `name: j\nresources:\n  infra: local\n  cpus: 0.1\nrun: |\n  echo begin >> ${file}\n` +
          `  echo working ${token}\n  sleep ${seconds}\n  echo end >> ${file}\n`;
        return { ...base, token, path: `/${kind}`, body: { task, cluster_name: cluster } };
      }
      case "status":
        return { ...base, cluster: null, path: "/status", body: {} };
      case "queue":
        return { ...base, path: "/queue", body: { cluster_name: cluster } };
      case "cancel": {
        const victims = this.#sent.filter((sent) =>
          sent.id !== null && sent.final === null && sent.token !== null
        );
        if (victims.length === 0) return null;
        const ids = [pick(victims, this.#next).id];
        return { ...base, cluster: null, path: "/api/cancel", body: { request_ids: ids, user_id: null } };
      }
      case "autostop":
        return { ...base, path: "/autostop", body: { cluster_name: cluster, idle_minutes: 60 } };
      case "down":
      case "stop":
        return { ...base, path: `/${kind}`, body: { cluster_name: cluster } };
    }
  }

  async #post(sent: Sent): Promise<void> {
    try {
      const response = await fetch(`${this.#url}${sent.path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": sent.key },
        body: JSON.stringify({
          env_vars: USER,
          entrypoint: "chaos",
          entrypoint_command: "chaos",
          ...sent.body,
        }),
      });
      const text = await response.text();
      if (!response.ok) {
        this.#violate(`${sent.path} answered ${response.status}: ${text}`);
        return;
      }
      const id = response.headers.get("X-Skypilot-Request-ID");
      if (id === null) this.#violate(`${sent.path} answered without an id`);
      else if (sent.id !== null && sent.id !== id) {
        this.#violate(`key ${sent.key} got two ids: ${sent.id}, ${id}`);
      } else sent.id = id;
    } catch {
      // The server died under the request: it stays unacknowledged and is sent again with the same key.
    }
  }

  /** Repeat what got no answer, and some of what did: a repeated POST is the same request. */
  async #resend(): Promise<void> {
    if (this.#server === null || !isAlive(this.#server.pid)) return;
    const again = this.#sent.filter((sent) =>
      sent.id === null || (sent.final === null && this.#next() < 0.1)
    );
    for (const sent of again) await this.#post(sent);
  }

  // --- watching

  async #watch(end: number): Promise<void> {
    while (Date.now() < end && this.#server !== null && isAlive(this.#server.pid)) {
      await this.#observe().catch((error) => {
        if (!(error instanceof TypeError)) throw error; // TypeError: the connection broke, the server was killed
      });
      await delay(120);
    }
  }

  async #observe(): Promise<void> {
    // Taken before the list is asked for: what is acknowledged later need not be in it.
    const known = this.#sent.filter((sent) => sent.id !== null);
    const records = new Map(
      (await this.#records("&all_status=true")).map((record) => [record.request_id, record]),
    );
    for (const sent of known) {
      const record = records.get(sent.id!);
      if (record === undefined) {
        this.#violate(`acknowledged and lost: ${sent.kind} ${sent.id}`);
        continue;
      }
      const over = ["SUCCEEDED", "FAILED", "CANCELLED"].includes(record.status);
      if (sent.final !== null && sent.final !== record.status) {
        this.#violate(`${sent.kind} ${sent.id} was ${sent.final} and became ${record.status}`);
      }
      if (over) sent.final = record.status;
    }
    const logged = known.filter((sent) => sent.token !== null);
    for (const sent of logged.slice(-5)) await this.#readLog(sent);
  }

  async #readLog(sent: Sent): Promise<void> {
    const query = `request_id=${sent.id}&follow=false&format=frames&offset=0`;
    const response = await fetch(`${this.#url}/api/stream?${query}`);
    const { FrameReader } = await import("../../api/frames.ts");
    let bytes = new Uint8Array();
    if (response.body === null) return;
    for await (const frame of response.body.pipeThrough(new FrameReader())) {
      if (frame.kind !== "data") continue;
      const joined = new Uint8Array(bytes.length + frame.bytes.length);
      joined.set(bytes);
      joined.set(frame.bytes, bytes.length);
      bytes = joined;
    }
    const common = Math.min(bytes.length, sent.log.length);
    this.#logBytes += common;
    for (let i = 0; i < common; i++) {
      if (bytes[i] !== sent.log[i]) {
        this.#violate(`the log of ${sent.kind} ${sent.id} changed at byte ${i}`);
        return;
      }
    }
    if (bytes.length < sent.log.length) this.#violate(`the log of ${sent.kind} ${sent.id} shrank`);
    else sent.log = bytes;
  }

  async #records(
    query: string,
  ): Promise<{ request_id: string; name: string; status: string; status_msg: string | null }[]> {
    const response = await fetch(`${this.#url}/api/status?limit=100000${query}`);
    return await response.json();
  }

  // --- the end

  async #settle(): Promise<void> {
    await until(async () => (await this.#records("")).length === 0, {
      what: "every request to end",
      timeoutMs: 120_000,
    });
    await this.#observe();
    for (const sent of this.#sent) if (sent.id !== null && sent.token !== null) await this.#readLog(sent);
  }

  async #check(): Promise<void> {
    const unacknowledged = this.#sent.filter((sent) => sent.id === null);
    if (unacknowledged.length > 0) {
      this.#violate(`${unacknowledged.length} never acknowledged by a healthy server`);
    }
    const succeeded = await this.#jobsThatSucceeded();
    for (const sent of this.#sent) {
      if (sent.token === null) continue;
      const lines = await Deno.readTextFile(join(this.#marks, sent.token)).then(
        (text) => text.split("\n").filter(Boolean),
        () => [], // the job never began
      );
      const begins = lines.filter((line) => line === "begin").length;
      if (begins > 1) this.#violate(`job of ${sent.kind} ${sent.id} ran ${begins} times`);
      if (succeeded.has(sent.token) && lines.join() !== "begin,end") {
        this.#violate(
          `job of ${sent.kind} ${sent.id} is said to have succeeded but did: ${lines.join() || "nothing"}`,
        );
      }
    }
    this.#jobsProven = succeeded.size;
    const down = await this.#sky.run(["down", "-a", "-y"]);
    if (down.code !== 0) this.#violate(`down -a failed: ${down.stderr}`);
    const left = (await this.#sky.processes()).filter((pid) => pid !== this.#server?.pid);
    if (left.length > 0) {
      const lines = left.map((pid) => {
        try {
          return Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
        } catch {
          return String(pid); // ended between the two looks
        }
      });
      this.#violate(`processes left after everything was torn down: ${lines.join(" | ")}`);
    }
    await this.#kill();
    const database = createClient({ url: `file:${join(this.#sky.env.SKY_HOME!, "sky.db")}` });
    const { rows } = await database.execute("PRAGMA integrity_check");
    if (rows[0]?.integrity_check !== "ok") this.#violate(`integrity_check: ${JSON.stringify(rows)}`);
    database.close();
  }

  /** Tokens whose job's queue row says SUCCEEDED, read from the job's own log line. */
  async #jobsThatSucceeded(): Promise<Set<string>> {
    const tokens = new Set<string>();
    for (const cluster of CLUSTERS) {
      const queue = await this.#sky.run(["queue", cluster, "-o", "json"]);
      if (queue.code !== 0) continue;
      const jobs: Record<string, { job_id: number; status: string }[]> = JSON.parse(queue.stdout);
      for (const job of jobs[cluster] ?? []) {
        if (job.status !== "SUCCEEDED") continue;
        const { stdout } = await this.#sky.run(["logs", cluster, String(job.job_id), "--no-follow"]);
        const token = /working (t\S+)/.exec(stdout)?.[1];
        if (token === undefined) {
          this.#violate(`job ${job.job_id} of ${cluster} succeeded without its output`);
        } else tokens.add(token);
      }
    }
    return tokens;
  }

  #violate(what: string): void {
    this.#violations.push(what);
    this.#options.log?.(`VIOLATION ${what}`);
  }
}
