/** The guard of a node, as the shell runs it: it ends the node when the server is silent and nobody uses it. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ALREADY, ARM_GUARD, DISARM_GUARD, GUARD, NO_NODE } from "../../../clouds/ssh/guard_text.ts";
import { JOB_KEY } from "../../../clouds/transport/job_files.ts";
import { until } from "../support.ts";

interface Policy {
  readonly idle?: number;
  readonly down?: boolean;
  readonly wait?: 0 | 1 | 2;
  readonly busy?: boolean;
  readonly many?: boolean;
  readonly ago?: number;
  readonly silent?: number;
}

class Node implements AsyncDisposable {
  readonly login: string;
  readonly home: string;

  constructor(login: string) {
    this.login = login;
    this.home = join(login, ".sky", "nodes", "id", "c-1", "node0");
  }

  static async make(): Promise<Node> {
    const node = new Node(await Deno.makeTempDir());
    await Deno.mkdir(join(node.home, ".sky"), { recursive: true });
    await Deno.mkdir(join(node.home, "sky_logs"));
    await Deno.writeTextFile(join(node.home, ".sky", "node"), "up\n");
    return node;
  }

  /** As the cloud does it: the code of arming; 0 starts the guard. */
  async arm(policy: Policy = {}): Promise<number> {
    const { idle = 0, down = false, wait = 1, busy = false, many = false, ago = 0, silent = 0 } = policy;
    const flags = [down, wait, busy, many].map((flag) => String(Number(flag)));
    const args = [this.home, String(idle), ...flags, String(ago), "0.05", String(silent)];
    const code = await sh(ARM_GUARD, args);
    if (code === 0) {
      const script = `setsid sh -c "$0" sh "$@" </dev/null >/dev/null 2>&1 &`;
      await new Deno.Command("sh", { args: ["-c", script, GUARD, ...args] }).output();
      await until(() => this.guard(), "the guard");
    }
    return code;
  }

  /** A process that is a job of the node. */
  job(name: string): Deno.ChildProcess {
    const folder = join(this.home, "sky_logs", name, ".job", "run");
    Deno.mkdirSync(folder, { recursive: true });
    const text = `read -r a </proc/$$/stat; read -r b </proc/sys/kernel/random/boot_id
      printf '%s\\n%s\\n' "$a" "$b" >"$0/pid"; exec sleep 100`;
    return new Deno.Command("setsid", { args: ["sh", "-c", text, folder], env: { [JOB_KEY]: folder } })
      .spawn();
  }

  async guard(): Promise<number | null> {
    const text = await this.read("guard.pid");
    const pid = Number(text?.split(" ")[0]);
    const environ = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
    return environ.includes(`${JOB_KEY}=${this.home}/`) ? pid : null;
  }

  async read(name: string): Promise<string | null> {
    return await Deno.readTextFile(join(this.home, ".sky", name)).then((text) => text.trim(), () => null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await sh(DISARM_GUARD, [this.home]);
    await until(async () => await this.guard() === null, "the guard's end");
    await Deno.remove(this.login, { recursive: true });
  }
}

async function sh(script: string, args: string[]): Promise<number> {
  return (await new Deno.Command("sh", { args: ["-c", script, "sh", ...args] }).output()).code;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a guard stops its idle node when the server is silent, and all that runs there", async () => {
  await using node = await Node.make();
  const stray = new Deno.Command("sleep", { args: ["100"], env: { [JOB_KEY]: `${node.home}/x` } }).spawn();
  assertEquals(await node.arm(), 0);
  await until(async () => await node.read("node") === "stopped", "the stop");
  await stray.status;
  await until(async () => await node.guard() === null, "the guard's end");
  assertEquals(await node.read("guard"), null);
});

Deno.test("a guard takes its node down without a trace", async () => {
  await using node = await Node.make();
  assertEquals(await node.arm({ down: true }), 0);
  await until(async () => (await Array.fromAsync(Deno.readDir(node.login))).length === 0, "the end");
});

Deno.test("a guard waits for jobs, for the idle time and for a server that lives", async () => {
  await using node = await Node.make();
  const job = node.job("1-a");
  assertEquals(await node.arm(), 0);
  assertEquals(await node.arm(), ALREADY);
  await pause(400);
  assertEquals(await node.read("node"), "up");
  assertEquals(await node.arm({ silent: 100 }), ALREADY);
  job.kill("SIGKILL");
  await job.status;
  await until(async () => await node.read("node") === "stopped", "the stop");
});

Deno.test("a guard lets a node be that is used, or whose server was heard of", async () => {
  for (const policy of [{ silent: 100 }, { idle: 100 }, { busy: true, many: true }]) {
    await using node = await Node.make();
    assertEquals(await node.arm(policy), 0);
    await pause(400);
    assertEquals(await node.read("node"), "up");
    assert(await node.guard() !== null);
  }
});

Deno.test("a guard counts what was idle before, and waits for nothing if told so", async () => {
  await using node = await Node.make();
  const job = node.job("1-a");
  assertEquals(await node.arm({ wait: 0, idle: 60, ago: 61 }), 0);
  await until(async () => await node.read("node") === "stopped", "the stop");
  await job.status;
});

Deno.test("arming does nothing where there is no node, disarming ends the guard", async () => {
  await using node = await Node.make();
  assertEquals(await node.arm({ silent: 100 }), 0);
  await sh(DISARM_GUARD, [node.home]);
  await until(async () => await node.guard() === null, "the guard's end");
  await Deno.remove(join(node.home, ".sky", "node"));
  assertEquals(await node.arm(), NO_NODE);
});
