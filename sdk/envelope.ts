/** Bodies: the fields that every one carries (who asks, with which config, by which command; wire.md §3.3, §15.1). */
import type { Input, OperationKey } from "../api/operations.ts";
import { routes } from "../api/routes.ts";
import type { Envelope } from "../api/envelope.ts";
import { HEADERS } from "../api/wire.ts";
import type { SkyConfig } from "../core/config.ts";
import type { User } from "../core/context.ts";
import type { Env } from "../core/paths.ts";
import type { Exchange } from "./exchange.ts";
import type { SubmitOptions } from "./options.ts";

/** Forwarded by name where the whole environment is not given. */
const KNOWN = [
  "SKYPILOT_DEBUG",
  "SKYPILOT_DEV",
  "SKYPILOT_DISABLE_USAGE_COLLECTION",
  "SKYPILOT_MINIMIZE_LOGGING",
  "SKYPILOT_SUPPRESS_SENSITIVE_LOG",
  "SKYPILOT_SKIP_CLOUD_IDENTITY_CHECK",
  "SKYPILOT_ENABLE_GRPC",
  "SKYPILOT_ALLOW_ALL_KUBERNETES_CONTEXTS",
  "SKYPILOT_CLIENT_TYPE",
];

/** Local servers only: which cloud account the caller means (wire.md §1.2). */
const CLOUD = [
  "AWS_PROFILE",
  "AWS_DEFAULT_PROFILE",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AZURE_CLIENT_ID",
  "AZURE_CLIENT_SECRET",
  "AZURE_TENANT_ID",
  "AZURE_SUBSCRIPTION_ID",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "KUBECONFIG",
];

/** Never sent. The token goes in its header only: a body is stored. */
const KEPT = [
  "SKYPILOT_GLOBAL_CONFIG",
  "SKYPILOT_PROJECT_CONFIG",
  "SKYPILOT_DB_CONNECTION_URI",
  "SKYPILOT_IN_CLUSTER_CONTEXT_NAME",
  "SKYPILOT_SERVICE_ACCOUNT_TOKEN",
];

export interface EnvelopeOptions {
  readonly user: User;
  readonly env: Env;
  /** The whole environment, for the `SKYPILOT_*` variables that have no fixed name. */
  readonly variables: Readonly<Record<string, string>> | null;
  readonly config: SkyConfig;
  readonly command: string;
  readonly remote: boolean;
  /** Opaque id of this process's run. */
  readonly runId: string;
}

/** Holds secrets: never log it. */
function makeEnvelope(options: EnvelopeOptions, entrypoint: string, blobId: string | null): Envelope {
  const { api_server: _endpoint, admin_policy: _policy, ...config } = options.config;
  return {
    env_vars: variablesOf(options),
    entrypoint,
    entrypoint_command: options.command,
    using_remote_api_server: options.remote,
    override_skypilot_config: config,
    override_skypilot_config_path: null,
    file_mounts_blob_id: blobId,
    client_api_version: null,
  };
}

function variablesOf(options: EnvelopeOptions): Record<string, string> {
  const { env, variables, remote, user } = options;
  const names = variables === null
    ? KNOWN
    : Object.keys(variables).filter((name) => name.startsWith("SKYPILOT_"));
  const sent: Record<string, string> = {};
  for (const name of [...names, ...(remote ? [] : CLOUD)]) {
    const value = variables === null ? env(name) : variables[name];
    if (value === undefined || KEPT.includes(name) || name.startsWith("SKYPILOT_SERVER_")) continue;
    if (remote && name === "SKYPILOT_CONFIG") continue;
    sent[name] = value;
  }
  sent["SKYPILOT_USER_ID"] = user.id;
  sent["SKYPILOT_USER"] = user.name;
  sent["SKYPILOT_USAGE_RUN_ID"] = options.runId;
  return sent;
}

/** A body without fields of its own; `name` is SkyPilot's function, e.g. `download_logs`. */
export function bodyOf(
  envelope: EnvelopeOptions,
  name: string,
  { blobId = null }: { blobId?: string | null } = {},
): Record<string, unknown> {
  return { ...makeEnvelope(envelope, `sky.client.sdk.${name}`, blobId) };
}

/** The exchange that submits an operation. Every POST has a key, so that a repeat is the same request. */
export function submission<K extends OperationKey>(
  envelope: EnvelopeOptions,
  asked: { key: K; input: Input<K>; options?: SubmitOptions },
): Exchange {
  const { input, options = {} } = asked;
  const { method, path, name } = routes[asked.key];
  const shared = { path, signal: options.signal, revive: "submit" as const };
  if (method === "GET") return { ...shared, method, query: input as Record<string, unknown> };
  return {
    ...shared,
    method,
    json: { ...bodyOf(envelope, name.replace(/^sky\./, ""), { blobId: options.blobId ?? null }), ...input },
    headers: { [HEADERS.idempotencyKey]: options.idempotencyKey ?? crypto.randomUUID() },
    repeat: "own",
  };
}
