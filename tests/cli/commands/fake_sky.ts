/** Commands run against a made-up server: the frame, the parser and the terminal are the real ones. */
import type { ClusterView, JobView } from "../../../api/clusters.ts";
import type { Input, OperationKey, Result } from "../../../api/operations.ts";
import { operations } from "../../../api/operations.ts";
import { run } from "../../../cli/run.ts";
import type { SkyConfig } from "../../../core/config.ts";
import type { LogSink, Sky } from "../../../sdk/client.ts";
import { testTerminal, type TestTerminalOptions } from "../../support/test_terminal.ts";

/** 2026-11-24 12:00:00 UTC, in milliseconds. */
export const NOW = Date.UTC(2026, 10, 24, 12);

export type Answers = {
  readonly [K in OperationKey]?: (input: Input<K>) => Result<K> | Promise<Result<K>>;
};

export interface Call {
  readonly key: OperationKey;
  readonly input: Record<string, unknown>;
}

export interface FakeOptions {
  readonly answers?: Answers;
  /** The log of a request, when it is streamed. */
  readonly logs?: { readonly [K in OperationKey]?: (input: Input<K>) => string };
  /** What the person types. */
  readonly typed?: readonly string[];
  readonly terminal?: TestTerminalOptions;
  readonly config?: SkyConfig;
  readonly env?: Readonly<Record<string, string>>;
  readonly interrupt?: AbortController;
}

export interface Ran {
  readonly code: number;
  /** stdout without ANSI. */
  readonly text: string;
  /** stdout as written. */
  readonly out: string;
  readonly err: string;
  readonly calls: readonly Call[];
}

/** Run one command line, e.g. `["status", "-v"]`. */
export async function sky(argv: string[], options: FakeOptions = {}): Promise<Ran> {
  const calls: Call[] = [];
  const signal = (options.interrupt ?? new AbortController()).signal;
  const test = testTerminal({ ...options.terminal, answers: options.typed ?? [], signal });
  const code = await run(argv, {
    out: test.terminal,
    env: (name) => options.env?.[name],
    cwd: "/",
    signal,
    now: () => NOW,
    connect: () => Promise.resolve(fakeServer(options, calls)),
    openConfig: () => Promise.resolve(() => options.config ?? {}),
  });
  return { code, text: test.text(), out: test.out(), err: test.err(), calls };
}

export function keysOf(ran: Ran): OperationKey[] {
  return ran.calls.map((call) => call.key);
}

export function inputOf(ran: Ran, key: OperationKey): Record<string, unknown> | undefined {
  return ran.calls.find((call) => call.key === key)?.input;
}

function fakeServer(options: FakeOptions, calls: Call[]): Sky {
  const submitted = new Map<string, Call>();
  const result = (call: Call): Promise<unknown> => {
    const answer = options.answers?.[call.key] as ((input: unknown) => unknown) | undefined;
    if (answer === undefined) {
      return Promise.reject(new Error(`unexpected ${call.key} ${JSON.stringify(call.input)}`));
    }
    return Promise.resolve().then(() => answer(call.input));
  };
  const submit = (key: OperationKey, input: Record<string, unknown>) => {
    const call = { key, input };
    calls.push(call);
    const id = `${String(calls.length).padStart(8, "0")}-0000-4000-8000-000000000000`;
    submitted.set(id, call);
    return id;
  };
  const callOf = (id: string) => submitted.get(id) ?? { key: "status", input: {} } as Call;
  const server: Record<string, unknown> = {
    endpoint: "http://127.0.0.1:46580",
    remote: false,
    user: { id: "fcd1e5cf", name: "alice" },
    call: (key: OperationKey, input: Record<string, unknown>) => {
      calls.push({ key, input });
      return result({ key, input });
    },
    get: (id: string) => result(callOf(id)),
    streamAndGet: async (id: string, sink: LogSink, more?: { signal?: AbortSignal }) => {
      more?.signal?.throwIfAborted();
      const call = callOf(id);
      const log = (options.logs?.[call.key] as ((input: unknown) => string) | undefined)?.(call.input) ?? "";
      if (log !== "") sink.data(new TextEncoder().encode(log));
      const value = await result(call);
      more?.signal?.throwIfAborted();
      return value;
    },
  };
  for (const key of Object.keys(operations) as OperationKey[]) {
    server[key] = (input: Record<string, unknown>) => Promise.resolve(submit(key, input));
  }
  return server as unknown as Sky;
}

const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** `age` in seconds before NOW. */
export function cluster(
  name: string,
  over: Partial<ClusterView> & { age?: number; ip?: string } = {},
): ClusterView {
  const { age = 0, ip, ...fields } = over;
  return {
    name,
    launched_at: NOW / 1000 - age,
    status: "UP",
    autostop: -1,
    to_down: false,
    cluster_hash: `hash-${name}`,
    cluster_ever_up: true,
    user_hash: "fcd1e5cf",
    user_name: "alice",
    workspace: "default",
    nodes: 1,
    is_managed: false,
    handle: {
      cluster_name: name,
      cluster_name_on_cloud: `${name}-fcd1e5cf`,
      cluster_yaml: null,
      launched_nodes: 1,
      launched_resources: {},
      stable_internal_external_ips: ip === undefined ? null : [["10.0.0.1", ip]],
      stable_ssh_ports: null,
      docker_user: null,
      is_grpc_enabled: false,
      ssh_user: null,
    },
    last_use: "sky launch -c my-cluster task.yaml",
    status_updated_at: 0,
    resources_str: "1x(cpus=2, mem=8, ...)",
    resources_str_full: "1x(cpus=2, mem=8, disk=256)",
    owner: null,
    metadata: null,
    config_hash: null,
    last_creation_yaml: null,
    last_creation_command: null,
    last_event: null,
    launch_status_reason: null,
    cloud: "local",
    region: null,
    cpus: "2.0",
    memory: "8.0",
    accelerators: null,
    labels: {},
    cluster_name_on_cloud: `${name}-fcd1e5cf`,
    node_names: null,
    priority: null,
    priority_class: null,
    links: null,
    ...fields,
  };
}

/** Times in seconds before NOW; null for not yet. */
export function job(
  id: number,
  over: Partial<JobView> & { submitted: number; started: number | null; ran?: number | null },
): JobView {
  const { submitted, started, ran = null, ...fields } = over;
  const start = started === null ? null : NOW / 1000 - started;
  const name = fields.job_name ?? "sky-cmd";
  return {
    job_id: id,
    job_name: name,
    username: "root",
    user_hash: "fcd1e5cf",
    submitted_at: NOW / 1000 - submitted,
    start_at: start,
    end_at: start === null || ran === null ? null : start + ran,
    resources: "1x[CPU:1+]",
    status: "SUCCEEDED",
    log_path: `~/sky_logs/${id}-${name}`,
    metadata: {},
    ...fields,
  };
}

/** Answers of a server with nothing on it but the given clusters. */
export function serverWith(clusters: readonly ClusterView[], more: Answers = {}): Answers {
  return {
    status: (input) => {
      const names = input.cluster_names;
      const match = (pattern: string) =>
        new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      return clusters.filter((one) =>
        names === null || names === undefined
          ? input.all_users !== false || one.user_hash === "fcd1e5cf"
          : names.some((name) => match(name).test(one.name))
      );
    },
    enabledClouds: () => ["local"],
    workspaces: () => ({ default: {} }),
    managedJobs: () => ({ jobs: [], total: 0, total_no_filter: 0, status_counts: {} }),
    pools: () => [],
    services: () => [],
    ...more,
  };
}

/** Lines as one text, so that trailing blanks stay visible. */
export function lines(...all: string[]): string {
  return all.map((line) => `${line}\n`).join("");
}
