/**
 * Sky: the client. A method per row of the operations table, and what belongs to every request: submit, get, stream.
 * Owns what is asked; the exchange itself is http.ts, cuts are stream.ts, files are upload.ts and download.ts.
 * Length: one method for each thing that can be asked, most of them a line or two.
 */
import type { Input, OperationKey, Result } from "../api/operations.ts";
import type { RequestPayload } from "../api/requests.ts";
import { type Route, routes } from "../api/routes.ts";
import { HEADERS, type Health } from "../api/wire.ts";
import type { User } from "../core/context.ts";
import { isSkyError, SkyError } from "../core/errors.ts";
import { type Env, userHome } from "../core/paths.ts";
import type { Dag } from "../core/task.ts";
import { asPayload, withoutPassword } from "./answers.ts";
import { bodyOf, type EnvelopeOptions, submission } from "./envelope.ts";
import type { FollowOptions } from "./follow.ts";
import type { Exchange } from "./exchange.ts";
import { Http } from "./http.ts";
import type {
  CompletionKind,
  QueuedKey,
  RequestId,
  RequestOptions,
  SkyOptions,
  StatusQuery,
  SubmitOptions,
} from "./options.ts";
import { Reads } from "./reads.ts";
import type { LogSink } from "./sink.ts";
import { failureOf, TIMING } from "./timing.ts";
import type { ShortAnswer } from "./socket_http.ts";
import type { ProvisionLogs } from "./tail.ts";
import type { UploadOptions } from "./upload.ts";

export type { FollowOptions } from "./follow.ts";
export type {
  CompletionKind,
  QueuedKey,
  RequestId,
  RequestOptions,
  SkyOptions,
  StatusQuery,
  SubmitOptions,
} from "./options.ts";
export type { LogSink } from "./sink.ts";

export type Sky =
  & SkyClient
  & { [K in QueuedKey]: (input: Input<K>, options?: SubmitOptions) => Promise<RequestId<Result<K>>> };

/** A client with its methods. Let go of it with `close()` or `using`. */
export function createSky(options: SkyOptions): Sky {
  const client = new SkyClient(options);
  for (const key of Object.keys(routes) as OperationKey[]) {
    if (routes[key].kind !== "queued") continue;
    Object.defineProperty(client, key, {
      value: (input: Input<OperationKey>, more?: SubmitOptions) => client.submit(key, input, more),
    });
  }
  return client as Sky;
}

export class SkyClient {
  readonly remote: boolean;
  readonly user: User;
  readonly #http: Http;
  readonly #envelope: EnvelopeOptions;
  readonly #env: Env;
  readonly #reads: Reads;

  constructor(options: SkyOptions) {
    this.remote = options.remote;
    this.user = options.user;
    this.#env = options.env;
    this.#http = new Http({
      endpoint: options.endpoint,
      socket: options.socket ?? null,
      token: options.token ?? null,
      cookies: options.cookies ?? null,
      clientType: options.env("SKYPILOT_CLIENT_TYPE") ?? null,
      fetch: options.fetch ?? globalThis.fetch,
      timing: { ...TIMING, ...options.timing },
      revive: options.revive ?? null,
      notice: options.notice ?? (() => {}),
    });
    const { user, env, config, command, remote, variables } = options;
    this.#envelope = {
      user,
      env,
      config,
      command,
      remote,
      variables: variables ?? null,
      runId: crypto.randomUUID(),
    };
    this.#reads = new Reads(this.#http, () => bodyOf(this.#envelope, "reads"));
  }

  /** For links and messages. */
  get endpoint(): string {
    return withoutPassword(this.#http.endpoint);
  }

  /** Submit an operation; resolves once it is accepted, which for our servers means on disk. */
  async submit<K extends OperationKey>(
    key: K,
    input: Input<K>,
    options: SubmitOptions = {},
  ): Promise<RequestId<Result<K>>> {
    const response = await this.#http.sendShort(submission(this.#envelope, { key, input, options }));
    await response.text();
    return this.#idOf(response);
  }

  /**
   * Submit an operation and return its result: one exchange where the server finishes soon, else submit and get.
   * Reads that are called in one turn share theirs, and leave no request behind, on a server of ours. Throws the
   * request's own error.
   */
  async call<K extends OperationKey>(
    key: K,
    input: Input<K>,
    options: SubmitOptions = {},
  ): Promise<Result<K>> {
    const route: Route = routes[key];
    if (this.#http.own === true && route.reads(input as Record<string, unknown>)) {
      const answer = await this.#reads.ask({ name: route.name, body: input, signal: options.signal });
      if (answer !== null && "value" in answer) return answer.value as Result<K>;
      if (answer !== null) throw (await import("./decode.ts")).decodeError(answer.error);
    }
    const exchange = submission(this.#envelope, { key, input, options });
    const { value, response } = await this.#http.jsonAnswer({
      ...exchange,
      headers: { ...exchange.headers, [HEADERS.wait]: "1" },
      limit: this.#http.timing.get,
    });
    const payload = response.headers.get(HEADERS.finished) === "1" ? asPayload(value) : null;
    if (payload !== null) return (await import("./decode.ts")).resultOf(payload) as Result<K>;
    return await this.get(this.#idOf(response) as RequestId<Result<K>>, options);
  }

  /** Wait for a request and return its result. Throws its own error, request_cancelled, or request_not_found. */
  async get<R>(id: RequestId<R>, options: { signal?: AbortSignal } = {}): Promise<R> {
    const exchange: Exchange = {
      method: "GET",
      path: "/api/get",
      query: { request_id: id },
      signal: options.signal,
      limit: this.#http.timing.get,
      waitBusy: false,
      accept: [500],
      revive: "follow",
    };
    for (;;) {
      try {
        const { value } = await this.#http.jsonAnswer(exchange);
        const payload = asPayload(value) ?? asPayload((value as { detail?: unknown } | null)?.detail);
        if (payload === null) {
          throw new SkyError("internal", `Failed to get request ${id}: ${JSON.stringify(value)}`);
        }
        return (await import("./decode.ts")).resultOf(payload) as R;
      } catch (error) {
        // the wait has no limit; only a single attempt has one, so that a dead peer is noticed
        if (failureOf(error) === "timeout") continue;
        throw (await import("./decode.ts")).requestError(error, id);
      }
    }
  }

  /** Follow a request's log. Throws stream_cut when it ends without its end marker. */
  async stream(id: string, sink: LogSink, options: FollowOptions = {}): Promise<void> {
    const { followSubject } = await import("./follow.ts");
    await followSubject(this.#http, { request_id: id }, sink, options).catch(async (error) => {
      throw (await import("./decode.ts")).requestError(error, id);
    });
  }

  /** Follow `~/.sky/api_server/server.log`, or a file below the server's `~/sky_logs`. */
  async streamLogPath(path: string, sink: LogSink, options: FollowOptions = {}): Promise<void> {
    const { followSubject } = await import("./follow.ts");
    await followSubject(this.#http, { log_path: path }, sink, options);
  }

  /** Follow a request's log, then return its result. */
  async streamAndGet<R>(id: RequestId<R>, sink: LogSink, options: FollowOptions = {}): Promise<R> {
    await this.stream(id, sink, options);
    return await this.get(id, options);
  }

  /** Follow a job's log; the job's exit code (0, 100–103). Leaving (signal) does not touch the job. */
  async tailLogs(
    input: Input<"logs">,
    sink: LogSink,
    options: { signal?: AbortSignal } = {},
  ): Promise<number> {
    const { tailJob } = await import("./tail.ts");
    const end = await tailJob(this.#http, { envelope: this.#envelope, input, sink, signal: options.signal });
    if (end.exitCode !== null) return end.exitCode;
    if (end.requestId === null) throw new SkyError("stream_cut", "The log stream ended without an exit code");
    return await this.get(end.requestId as RequestId<number | null>, options) ?? 0;
  }

  /** Follow the log of a cluster's provisioning. */
  async provisionLogs(
    input: ProvisionLogs,
    sink: LogSink,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const { tailProvisioning } = await import("./tail.ts");
    await tailProvisioning(this.#http, { envelope: this.#envelope, input, sink, signal: options.signal });
  }

  /** Download job logs to `local_dir` below this machine's home; job id → local path. */
  async fetchLogs(input: Input<"downloadLogs">): Promise<Record<string, string>> {
    const paths = await this.call("downloadLogs", input);
    const { downloadLogs } = await import("./download.ts");
    const body = bodyOf(this.#envelope, "download_logs");
    return await downloadLogs(this.#http, paths, { body, user: this.user, env: this.#env });
  }

  /** Requests, newest first, without results. */
  async apiStatus(query: StatusQuery = {}): Promise<RequestPayload[]> {
    return await this.#http.json({
      method: "GET",
      path: "/api/status",
      query: {
        request_ids: query.ids,
        all_status: query.allStatus ?? false,
        limit: query.limit,
        cluster_name: query.cluster,
        fields: query.fields,
      },
    }) as RequestPayload[];
  }

  /** Who answers, and whether it will serve us. Throws server_unreachable, auth_required, version_mismatch. */
  async health(options: { signal?: AbortSignal } = {}): Promise<Health> {
    const { askHealth } = await import("./health.ts");
    return await askHealth(this.#http, options);
  }

  /** Check a DAG (YAML text). Throws what is wrong with it. */
  async validate(dag: string, options: RequestOptions = null): Promise<void> {
    await this.#http.json({
      method: "POST",
      path: "/validate",
      json: { ...bodyOf(this.#envelope, "validate"), dag, request_options: options },
      repeat: "safe",
      revive: "submit",
    });
  }

  /** Words for TAB. No answer within 2 s, or any failure, means no words (wire.md §4.7). */
  async complete(kind: CompletionKind, incomplete: string): Promise<string[]> {
    try {
      const path = `/api/completion/${kind}`;
      const exchange: Exchange = {
        method: "GET",
        path,
        query: { incomplete },
        limit: 2_000,
        waitBusy: false,
      };
      const words = await this.#http.json(exchange);
      return Array.isArray(words) ? words.map(String) : [];
    } catch (error) {
      if (isSkyError(error)) return []; // TAB must never print an error
      throw error;
    }
  }

  /** Upload what a remote server cannot read itself; the DAG then names the uploaded files. */
  async uploadMounts(
    dag: Dag,
    options: UploadOptions = {},
  ): Promise<{ dag: Dag; blobId: string | null }> {
    if (!this.remote) return { dag, blobId: null };
    const { uploadMounts } = await import("./upload.ts");
    return await uploadMounts(this.#http, dag, { ...options, user: this.user, env: this.#env });
  }

  /** Merge SSH node pools of a file's text into the server's; `keys`: send the private keys they name, too. */
  async uploadPools(file: { text: string; path: string; keys: boolean }): Promise<void> {
    const { uploadPools } = await import("./ssh_pools.ts");
    await uploadPools(this.#http, { ...file, home: userHome(this.#env) });
  }

  /** Let go of connections. */
  close(): void {
    this.#http.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #idOf(response: Pick<ShortAnswer, "headers">): string {
    const id = response.headers.get(HEADERS.requestId);
    if (id !== null && id !== "") return id;
    throw new SkyError(
      "server_unreachable",
      `The answer of ${this.endpoint} is not from a SkyPilot API server`,
    );
  }
}
