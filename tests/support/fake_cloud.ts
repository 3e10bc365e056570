/**
 * A cloud that exists only in a test: machines in memory, files in a temp folder, processes that the test holds in
 * its hand. It outlives a "server restart" when the same object is given to the next room. FailingCloud is one
 * that never has anything to give.
 */
import { join } from "@std/path";
import type {
  Capabilities,
  CheckResult,
  Cloud,
  CloudContext,
  CommandRunner,
  JobPhase,
  JobStart,
  JobState,
  NodeCapacity,
  NodeInfo,
  NodeState,
  NoOffer,
  Offer,
  ProvisionSpec,
  RunResult,
} from "../../clouds/cloud.ts";
import type { Handle, LaunchedResources } from "../../core/cluster.ts";
import { SkyError } from "../../core/errors.ts";
import type { Resources } from "../../core/resources.ts";

export const ALL_CAPABILITIES: Capabilities = {
  stop: true,
  autostop: true,
  autodown: true,
  spot: true,
  ports: true,
  multiNode: true,
  images: true,
};

export interface FakeOffer {
  readonly region?: string | null;
  readonly zone?: string | null;
  readonly instanceType?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly accelerators?: Record<string, number> | null;
  readonly hourlyCost?: number;
}

export interface FakeCloudOptions {
  readonly folder: string;
  readonly name?: string;
  readonly displayName?: string;
  readonly capabilities?: Partial<Capabilities>;
  readonly offers?: readonly FakeOffer[];
  readonly capacity?: NodeCapacity;
  readonly noOffer?: NoOffer;
}

export function fakeLaunched(cloud: string, offer: FakeOffer = {}): LaunchedResources {
  return {
    cloud,
    region: offer.region ?? null,
    zone: offer.zone ?? null,
    instanceType: offer.instanceType ?? "2CPU--4GB",
    cpus: offer.cpus ?? 2,
    memory: offer.memory ?? 4,
    accelerators: offer.accelerators ?? null,
    useSpot: false,
    diskSize: 256,
    ports: [],
    labels: {},
    imageId: null,
    hourlyCost: offer.hourlyCost ?? 0,
  };
}

export class FakeCloud implements Cloud {
  readonly name: string;
  readonly displayName: string;
  readonly capabilities: Capabilities;
  readonly nameLimit = 42;
  readonly folder: string;
  readonly machines = new Map<string, FakeNode[]>();
  /** Every act in order, e.g. `provision c1-abc`. */
  readonly acts: string[] = [];
  offered: readonly FakeOffer[];
  noOffer: NoOffer;
  nodeCapacity: NodeCapacity;
  enabled = true;
  /** Thrown by inspect and by every runner call while set. */
  unreachable: SkyError | null = null;
  /** Called inside provision, after the machines were made; may throw or wait. */
  onProvision: (spec: ProvisionSpec, ctx: CloudContext) => Promise<void> | void = () => {};
  onTerminate: (handle: Handle, ctx: CloudContext) => Promise<void> | void = () => {};
  onUpload: (node: FakeNode, target: string, signal: AbortSignal) => Promise<void> | void = () => {};

  constructor(options: FakeCloudOptions) {
    this.name = options.name ?? "aws";
    this.displayName = options.displayName ?? "AWS";
    this.capabilities = { ...ALL_CAPABILITIES, ...options.capabilities };
    this.folder = options.folder;
    this.offered = options.offers ?? [{}];
    this.noOffer = options.noOffer ?? { hint: null, similar: [] };
    this.nodeCapacity = options.capacity ?? { cpus: 2, memoryGb: 4, accelerators: null };
  }

  check(_ctx: CloudContext): Promise<CheckResult> {
    return Promise.resolve({
      enabled: this.enabled,
      offers: ["compute"],
      reason: this.enabled ? null : "switched off by the test",
      hint: null,
      places: [],
    });
  }

  offers(wish: Resources, _numNodes: number, _ctx: CloudContext): Promise<readonly Offer[] | NoOffer> {
    const fitting = this.offered
      .map((offer) => ({
        resources: {
          ...fakeLaunched(this.name, offer),
          useSpot: wish.useSpot ?? false,
          ports: wish.ports ?? [],
        },
      }))
      .filter(({ resources }) => fitsWish(wish, resources))
      .sort((a, b) => a.resources.hourlyCost - b.resources.hourlyCost);
    return Promise.resolve(fitting.length > 0 ? fitting : this.noOffer);
  }

  prepare(spec: ProvisionSpec): Handle {
    return { version: 1, name: spec.nameOnCloud, count: spec.numNodes };
  }

  async provision(spec: ProvisionSpec, ctx: CloudContext): Promise<Handle> {
    this.acts.push(`provision ${spec.nameOnCloud}`);
    const nodes = this.machines.get(spec.nameOnCloud) ?? [];
    for (let i = nodes.length; i < spec.numNodes; i++) {
      const home = join(this.folder, spec.nameOnCloud, String(i));
      await Deno.mkdir(join(home, "sky_workdir"), { recursive: true });
      nodes.push(new FakeNode(this, { id: `${spec.nameOnCloud}-${i}`, home, ip: `127.0.0.${i + 2}` }));
    }
    for (const node of nodes) node.state = "up";
    this.machines.set(spec.nameOnCloud, nodes);
    await this.onProvision(spec, ctx);
    return this.prepare(spec);
  }

  inspect(handle: Handle, _ctx: CloudContext): Promise<readonly NodeInfo[]> {
    if (this.unreachable !== null) return Promise.reject(this.unreachable);
    return Promise.resolve(this.nodesBehind(handle).map((node) => node.info()));
  }

  capacity(handle: Handle, _ctx: CloudContext): Promise<readonly NodeCapacity[]> {
    if (this.unreachable !== null) return Promise.reject(this.unreachable);
    return Promise.resolve(this.nodesBehind(handle).map(() => this.nodeCapacity));
  }

  runners(handle: Handle, _ctx: CloudContext): readonly CommandRunner[] {
    return this.nodesBehind(handle).map((node) => node.runner());
  }

  async terminate(handle: Handle, ctx: CloudContext): Promise<void> {
    this.acts.push(`terminate ${nameOf(handle)}`);
    for (const node of this.nodesBehind(handle)) node.die("gone");
    await this.onTerminate(handle, ctx);
    this.machines.delete(nameOf(handle));
  }

  stop(handle: Handle, _ctx: CloudContext): Promise<void> {
    this.acts.push(`stop ${nameOf(handle)}`);
    for (const node of this.nodesBehind(handle)) node.die("stopped");
    return Promise.resolve();
  }

  endpoints(_handle: Handle, ports: readonly string[], _ctx: CloudContext): Promise<Record<string, string>> {
    return Promise.resolve(Object.fromEntries(ports.map((port) => [port, `http://127.0.0.2:${port}`])));
  }

  /** The nodes behind a handle, head first. */
  nodesBehind(handle: Handle): FakeNode[] {
    return this.machines.get(nameOf(handle)) ?? [];
  }

  /** The nodes of the only cluster whose name on the cloud begins like this. */
  nodesOf(clusterName: string): FakeNode[] {
    const found = [...this.machines].filter(([name]) => name.startsWith(clusterName));
    return found[0]?.[1] ?? [];
  }
}

/** Offers things but can make none. */
export class FailingCloud extends FakeCloud {
  override provision(spec: ProvisionSpec): Promise<Handle> {
    this.acts.push(`provision ${spec.nameOnCloud}`);
    const region = spec.resources.region ?? "nowhere";
    return Promise.reject(new SkyError("resources_unavailable", `Failed to acquire resources in ${region}.`));
  }
}

function nameOf(handle: Handle): string {
  return String(handle["name"]);
}

function fitsWish(wish: Resources, have: LaunchedResources): boolean {
  const [entry] = Object.entries(wish.accelerators ?? {});
  if (entry !== undefined && have.accelerators?.[entry[0]] !== entry[1]) return false;
  if (wish.region !== null && wish.region !== have.region) return false;
  if (wish.zone !== null && wish.zone !== have.zone) return false;
  if (wish.instanceType !== null && wish.instanceType !== have.instanceType) return false;
  if (wish.maxHourlyCost !== null && have.hourlyCost > wish.maxHourlyCost) return false;
  return amountFits(wish.cpus, have.cpus) && amountFits(wish.memory, have.memory);
}

function amountFits(wish: string | null, have: number | null): boolean {
  if (wish === null) return true;
  const wanted = Number.parseFloat(wish);
  return wish.endsWith("+") ? (have ?? 0) >= wanted : have === wanted;
}

/** A process on a fake node: it does what its script's few words say, or what the test tells it. */
export class FakeProcess {
  readonly start: JobStart;
  readonly pid: number;
  exitCode: number | null = null;
  alive = true;
  /** Signals that reached it. */
  readonly signals: string[] = [];
  ignoresTerm = false;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  readonly #file: string;
  readonly #home: string;
  readonly #changed: () => void;
  readonly #lines: readonly string[];
  #next = 0;

  constructor(start: JobStart, options: { pid: number; home: string; changed: () => void }) {
    this.start = start;
    this.#home = options.home;
    this.#lines = start.script.split("\n");
    this.pid = options.pid;
    this.#changed = options.changed;
    this.#file = join(options.home, "sky_logs", start.logDir, start.output);
    Deno.mkdirSync(join(this.#file, ".."), { recursive: true });
    Deno.writeFileSync(this.#file, new Uint8Array());
  }

  print(text: string | Uint8Array): void {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    Deno.writeFileSync(this.#file, bytes, { append: true });
    this.#changed();
  }

  exit(code: number): void {
    if (!this.alive) return;
    this.exitCode = code;
    this.alive = false;
    this.#changed();
  }

  /** As kill -9 of the whole session: no exit code is left. */
  vanish(): void {
    this.alive = false;
    this.#changed();
  }

  read(offset: number, limit: number): Uint8Array {
    const end = Math.min(this.#size, offset + limit);
    const out = new Uint8Array(Math.max(0, end - offset));
    let at = 0;
    for (const chunk of this.#chunks) {
      const from = Math.max(offset, at);
      const to = Math.min(end, at + chunk.length);
      if (from < to) out.set(chunk.subarray(from - at, to - at), from - offset);
      at += chunk.length;
    }
    return out;
  }

  /**
   * Understands lines of `echo TEXT`, `exit N`, `hang`, `env NAME`, and with files of the node's HOME `save FILE
   * TEXT`, `show FILE` and `await FILE` (until a file of that name is uploaded); `rank N WORDS` does so on one node
   * only. Ends with 0 after the last.
   */
  runScript(): void {
    for (; this.alive && this.#next < this.#lines.length; this.#next++) {
      if (!this.#does(this.#lines[this.#next]!.trim().split(" "))) return;
    }
    this.exit(0);
  }

  /** False: it waits there. */
  #does([word, ...rest]: readonly string[]): boolean {
    const [first = ""] = rest;
    const file = () => join(this.#home, first);
    if (word === "rank") return this.start.env["SKYPILOT_NODE_RANK"] !== first || this.#does(rest.slice(1));
    if (word === "echo") this.print(rest.join(" ") + "\n");
    if (word === "env") this.print(`${first}=${this.start.env[first] ?? "<unset>"}\n`);
    if (word === "save") Deno.writeTextFileSync(file(), rest.slice(1).join(" ") + "\n");
    if (word === "show") this.print(Deno.readFileSync(file()));
    if (word === "exit") this.exit(Number(first));
    if (word === "await") return isThere(file());
    return word !== "hang";
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

export class FakeNode {
  readonly id: string;
  readonly home: string;
  readonly ip: string;
  state: NodeState = "up";
  /** What was uploaded where, in order. */
  readonly uploads: { source: string; target: string }[] = [];
  readonly commands: (readonly string[])[] = [];
  /** Starts that really began a process. */
  readonly started: FakeProcess[] = [];
  /** False: claims stay without a process, as when a start was cut short. */
  startsProcesses = true;
  readonly #claims = new Map<string, FakeProcess | null>();
  readonly #waiters = new Set<() => void>();
  readonly #cloud: FakeCloud;
  #nextPid = 100;

  constructor(cloud: FakeCloud, options: { id: string; home: string; ip: string }) {
    this.#cloud = cloud;
    this.id = options.id;
    this.home = options.home;
    this.ip = options.ip;
  }

  info(): NodeInfo {
    return { id: this.id, state: this.state, reason: null, internalIp: this.ip, externalIp: this.ip };
  }

  process(logDir: string, phase: JobPhase): FakeProcess | null {
    return this.#claims.get(`${logDir}/${phase}`) ?? null;
  }

  die(state: NodeState): void {
    this.state = state;
    for (const process of this.#claims.values()) process?.vanish();
  }

  changed(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  runner(): CommandRunner {
    const guard = <T>(work: () => T | Promise<T>): Promise<T> => {
      if (this.#cloud.unreachable !== null) return Promise.reject(this.#cloud.unreachable);
      return Promise.resolve().then(work);
    };
    const waitChange = (timeoutMs: number, signal: AbortSignal) => this.#wait(timeoutMs, signal);
    return {
      nodeId: this.id,
      home: this.home,
      run: (argv) =>
        guard((): RunResult => {
          this.commands.push(argv);
          return { code: 0, stdout: "", stderr: "" };
        }),
      upload: (source, target, options) =>
        guard(async () => {
          await this.#cloud.onUpload(this, target, options.signal);
          this.uploads.push({ source, target });
          await copy(source, this.#path(target));
          for (const process of this.started) process.runScript(); // some may wait for the file
        }),
      download: (source, target) =>
        guard(async () => {
          const path = this.#path(source);
          const there = await Deno.stat(path).then(() => true, () => false);
          if (!there) throw new SkyError("file_not_found", `Cannot copy '${source}': there is no such file`);
          await copy(path, target);
        }),
      startJob: (job) => guard(() => this.#start(job)),
      jobState: (logDir, phase) => guard(() => this.#stateOf(logDir, phase)),
      killJob: (logDir, phase) => guard(() => this.#kill(logDir, phase)),
      waitJobChange: (_logDir, _phase, options) => waitChange(options.timeoutMs, options.signal),
      readOutput: (logDir, phase, options) =>
        guard(() => this.process(logDir, phase)?.read(options.offset, options.limit) ?? new Uint8Array()),
      waitOutput: (_logDir, _phase, options) => waitChange(options.timeoutMs, options.signal),
    };
  }

  #start(job: JobStart): void {
    const key = `${job.logDir}/${job.phase}`;
    if (this.#claims.has(key)) return;
    if (!this.startsProcesses) {
      this.#claims.set(key, null);
      return;
    }
    const process = new FakeProcess(job, {
      pid: this.#nextPid++,
      home: this.home,
      changed: () => this.changed(),
    });
    this.#claims.set(key, process);
    this.started.push(process);
    process.runScript();
    this.changed();
  }

  #stateOf(logDir: string, phase: JobPhase): JobState {
    const key = `${logDir}/${phase}`;
    const process = this.process(logDir, phase);
    return {
      claimed: this.#claims.has(key),
      pid: process?.pid ?? null,
      alive: process?.alive ?? false,
      exitCode: process?.exitCode ?? null,
    };
  }

  #kill(logDir: string, phase: JobPhase): void {
    const key = `${logDir}/${phase}`;
    if (!this.#claims.has(key)) this.#claims.set(key, null);
    const process = this.process(logDir, phase);
    if (process === null || !process.alive) return;
    process.signals.push("TERM");
    if (!process.ignoresTerm) return process.exit(143);
    process.signals.push("KILL");
    process.vanish();
  }

  #wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (signal.aborted) return Promise.resolve();
    const timer = setTimeout(done, timeoutMs);
    const waiters = this.#waiters;
    function done(): void {
      clearTimeout(timer);
      waiters.delete(done);
      signal.removeEventListener("abort", done);
      resolve();
    }
    waiters.add(done);
    signal.addEventListener("abort", done);
    return promise;
  }

  #path(remote: string): string {
    if (remote.startsWith("~/")) return join(this.home, remote.slice(2));
    return remote.startsWith("/") ? join(this.home, "root", remote) : join(this.home, remote);
  }
}

async function copy(source: string, target: string): Promise<void> {
  const info = await Deno.stat(source);
  if (info.isDirectory) {
    await Deno.mkdir(target, { recursive: true });
    for await (const entry of Deno.readDir(source)) {
      await copy(join(source, entry.name), join(target, entry.name));
    }
    return;
  }
  await Deno.mkdir(join(target, ".."), { recursive: true });
  await Deno.copyFile(source, target);
}
