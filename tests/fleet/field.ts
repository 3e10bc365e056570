/** What a fault test stands on: machines of its own, a sky of its own that knows them, and a client that is watched. */
import { assert } from "@std/assert";
import { dirname, join } from "@std/path";
import { Fleet } from "../support/fleet.ts";
import { type Ran, signal, TestSky, until } from "../support/sky.ts";

export type Kind = "ssh" | "slurm";

export interface FieldOptions {
  /** Hosts, or with Slurm compute nodes (besides the login node). */
  readonly nodes: number;
  /** All hosts have the same home. Always so with Slurm. */
  readonly shared?: boolean;
  /** Lines added to each ssh host's pool, or to Slurm's config. */
  readonly config?: readonly string[];
}

export interface JobRow {
  readonly job_id: number;
  readonly status: string;
}

export class Field implements AsyncDisposable {
  readonly kind: Kind;
  readonly sky: TestSky;
  readonly fleet: Fleet;

  private constructor(kind: Kind, sky: TestSky, fleet: Fleet) {
    this.kind = kind;
    this.sky = sky;
    this.fleet = fleet;
  }

  static async open(kind: Kind, options: FieldOptions): Promise<Field> {
    const slurm = kind === "slurm";
    const { nodes, shared = false } = options;
    const fleet = await Fleet.up(slurm ? nodes + 1 : nodes, { slurm, shared });
    const sky = await TestSky.make();
    const field = new Field(kind, sky, fleet);
    await field.#write(options);
    return field;
  }

  /** Where lane `i` (from 0) launches. With ssh each lane has a host for itself. */
  infra(lane: number): string {
    return this.kind === "ssh" ? `ssh/p${lane + 1}` : "slurm/fleet";
  }
  /** Where a cluster of several nodes launches. */
  get wide(): string {
    return this.kind === "ssh" ? "ssh/all" : "slurm/fleet";
  }
  /** The nodes through which the server reaches what it uses. */
  get ways(): readonly number[] {
    return this.kind === "ssh" ? this.hosts : [1];
  }
  /** The nodes that jobs run on. */
  get hosts(): readonly number[] {
    const all = Array.from({ length: this.fleet.size }, (_, i) => i + 1);
    return this.kind === "ssh" ? all : all.slice(1);
  }

  /** From now on all hosts are one, reached through a port of this machine. */
  async through(port: number): Promise<void> {
    await this.#write({ nodes: 1 }, port);
  }

  /** Start a client and watch what it prints. */
  watch(args: readonly string[]): Watched {
    return new Watched(this.sky.spawn(args), args);
  }

  /** A task file for `sky launch`. */
  async task(name: string, parts: TaskParts): Promise<string> {
    const path = join(this.sky.work, `${name}.yaml`);
    const indent = (text: string) => text.trim().split("\n").map((line) => `  ${line}`);
    const lines = [
      "resources:",
      `  infra: ${parts.infra}`,
      "  cpus: 1",
      "  memory: 1",
      ...(parts.more ?? []),
      ...(parts.setup === undefined ? [] : ["setup: |", ...indent(parts.setup)]),
      "run: |",
      ...indent(parts.run),
    ];
    await Deno.writeTextFile(path, lines.join("\n") + "\n");
    return path;
  }

  /** Jobs of a cluster, by id. */
  async queue(cluster: string): Promise<readonly JobRow[]> {
    const all = JSON.parse(await this.sky.ok(["queue", cluster, "-o", "json"])) as Record<
      string,
      JobRow[]
    >;
    return (all[cluster] ?? []).toSorted((a, b) => a.job_id - b.job_id);
  }

  /** Status of a cluster as written down, or after a look (`refresh`); undefined if there is none. */
  async status(cluster: string, options: { refresh?: boolean } = {}): Promise<string | undefined> {
    const refresh = options.refresh === true ? ["-r"] : [];
    const rows = JSON.parse(await this.sky.ok(["status", cluster, ...refresh, "-o", "json"])) as {
      name: string;
      status: string;
    }[];
    return rows.find((row) => row.name === cluster)?.status;
  }

  /** What there still is of clusters that are gone: processes and homes on the nodes, and claims. */
  async leftovers(options: { connected: boolean }): Promise<readonly string[]> {
    return [...await leftOn(this.fleet, this.kind, options), ...await claimsIn(this.sky.env.SKY_HOME!)];
  }

  /** Everything down; fails unless nothing is left then, and no connection once the server has ended. */
  async clear(): Promise<void> {
    await this.sky.ok(["down", "-a", "-y"], { timeoutMs: 120_000 });
    await this.#nothing({ connected: true });
    await this.sky.ok(["api", "stop"]);
    await this.#nothing({ connected: false });
  }

  async #nothing(options: { connected: boolean }): Promise<void> {
    let left = await this.leftovers(options);
    for (let tries = 0; left.length > 0 && tries < 350; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      left = await this.leftovers(options);
    }
    assert(left.length === 0, `left on the nodes:\n${left.join("\n")}`);
  }

  async #write(options: FieldOptions, port?: number): Promise<void> {
    await writeConfig(this.kind, { home: this.sky.home, fleet: this.fleet, port, config: options.config });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.sky[Symbol.asyncDispose]();
    } finally {
      await this.fleet[Symbol.asyncDispose]();
    }
  }
}

/** A server's own conversations with a host, and the naps they take: there while it is connected, and half a minute on. */
const CONNECTED = /export SKY_EXEC=|^sleep (0\.\d+|25)$|^sshd: /;

/** Processes and homes of clusters on the nodes of a fleet. `connected`: a server still talks to them. */
export async function leftOn(fleet: Fleet, kind: Kind, options: { connected: boolean }): Promise<string[]> {
  const found: string[] = [];
  for (let node = 1; node <= fleet.size; node++) {
    for (const args of await fleet.processes(node)) {
      if (options.connected && CONNECTED.test(args)) continue;
      found.push(`n${node}: ${args.slice(0, 300)}`);
    }
  }
  const script = `cd ${
    kind === "ssh" ? "/home/dev" : "/shared/home/dev"
  } && find . -path './.sky/nodes/*/*' -prune -print -o -path './.sky_clusters/*' -prune -print`;
  for (let node = 1; node <= (kind === "ssh" ? fleet.size : 1); node++) {
    const { stdout } = await fleet.inside(node, ["/bin/sh", "-c", script]);
    found.push(...stdout.split("\n").filter((line) => line !== "").map((line) => `n${node}: ${line}`));
  }
  return found;
}

/** Claims on hosts that a server remembers. */
export async function claimsIn(serverHome: string): Promise<string[]> {
  const path = join(serverHome, "clouds", "ssh", "ledger.json");
  const text = await Deno.readTextFile(path).catch(() => '{"claims":[]}'); // never used: no claims
  const { claims } = JSON.parse(text) as { claims: { cluster: string; host: string }[] };
  return claims.map(({ cluster, host }) => `claim of ${cluster} on ${host}`);
}

export interface TaskParts {
  readonly infra: string;
  readonly run: string;
  readonly setup?: string;
  /** Lines of YAML. */
  readonly more?: readonly string[];
}

export interface ConfigOptions {
  readonly home: string;
  readonly fleet: Fleet;
  /** Instead of the nodes' own address and port: one of this machine, that leads there. */
  readonly port?: number | undefined;
  /** Lines for each pool, or for Slurm's config. */
  readonly config?: readonly string[] | undefined;
}

/** Tells a HOME of the machines: a pool for each, one for all, or the Slurm cluster. */
export async function writeConfig(
  kind: Kind,
  { home, fleet, port, config = [] }: ConfigOptions,
): Promise<void> {
  const address = (node: number) => port === undefined ? fleet.ip(node) : "127.0.0.1";
  const own = config.map((line) => `  ${line}`);
  const pool = (name: string, nodes: readonly number[]) => [
    `${name}:`,
    "  user: dev",
    `  identity_file: ${fleet.identity}`,
    ...own,
    "  hosts:",
    ...nodes.map((node) => `    - {name: n${node}, ip: ${address(node)}, port: ${port ?? 22}}`),
  ];
  const slurm = [
    "Host fleet",
    `  HostName ${address(1)}`,
    `  Port ${port ?? 22}`,
    "  User dev",
    `  IdentityFile ${fleet.identity}`,
    "  IdentitiesOnly yes",
    ...own,
  ];
  const all = Array.from({ length: fleet.size }, (_, i) => i + 1);
  const pools = [...all.flatMap((node) => pool(`p${node}`, [node])), ...pool("all", all)];
  const path = kind === "ssh" ? ".sky/ssh_node_pools.yaml" : ".slurm/config";
  await Deno.mkdir(dirname(join(home, path)), { recursive: true });
  await Deno.writeTextFile(join(home, path), (kind === "ssh" ? pools : slurm).join("\n") + "\n");
}

/** A client of which everything printed is kept, and waited for. */
export class Watched {
  readonly args: readonly string[];
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #out = "";
  #err = "";

  constructor(child: Deno.ChildProcess, args: readonly string[]) {
    this.#child = child;
    this.args = args;
    this.#reading = Promise.all([
      this.#read(child.stdout, (text) => this.#out += text),
      this.#read(child.stderr, (text) => this.#err += text),
    ]);
  }

  get text(): string {
    return this.#out + this.#err;
  }

  async until(words: string, timeoutMs = 60_000): Promise<void> {
    let over = false;
    this.#child.status.then(() => over = true);
    await until(() => over || this.text.includes(words), { what: `${words} in\n${this.text}`, timeoutMs })
      .catch(
        (error) => {
          throw new Error(`${error.message}\n${this.text}`);
        },
      );
    if (!this.text.includes(words)) throw new Error(`ended without ${words}:\n${this.text}`);
  }

  /** As ctrl-C by somebody who has seen enough; to be followed by `end`. */
  interrupt(): void {
    signal(this.#child.pid, "SIGINT");
  }

  async end(timeoutMs = 180_000): Promise<Ran> {
    const timer = setTimeout(() => signal(this.#child.pid, "SIGKILL"), timeoutMs);
    const { code } = await this.#child.status;
    clearTimeout(timer);
    await this.#reading;
    if (code === 137) {
      throw new Error(`sky ${this.args.join(" ")}: no end after ${timeoutMs} ms\n${this.text}`);
    }
    return { code, stdout: this.#out, stderr: this.#err };
  }

  async #read(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) add(text);
  }
}

/** For the fault table: one line to the file that $SKY_FAULT_TABLE names, if any. */
export async function tell(kind: Kind, fault: string, outcome: string): Promise<void> {
  const path = Deno.env.get("SKY_FAULT_TABLE");
  if (path !== undefined) {
    await Deno.writeTextFile(path, `${kind} | ${fault} | ${outcome}\n`, { append: true });
  }
}
