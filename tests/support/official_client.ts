/**
 * What SkyPilot's own client puts on the wire (wire.md §2.1, §3.3), as plain fetches: none of our headers, none of our
 * sdk. Owns headers, envelopes and the submit–stream–get dance; what is asked is the test's.
 */
import { assert, assertEquals } from "@std/assert";
import type { RequestPayload } from "../../api/requests.ts";
import type { TestSky } from "./sky.ts";
import { createSky, type Sky, type SkyOptions } from "../../sdk/client.ts";

export interface Got {
  readonly http: number;
  readonly payload: RequestPayload;
  /** `return_value`, parsed. */
  readonly value: unknown;
}

export interface Cancelled {
  readonly ids: string[];
  /** Milliseconds from asking to the answer. */
  readonly took: number;
}

/** Headers of every exchange. */
export const OFFICIAL = {
  "User-Agent": "python-requests/2.32.3",
  "Accept": "*/*",
  "X-SkyPilot-API-Version": "53",
  "X-SkyPilot-Version": "1.0.0-dev0 (commit: 0123456789)",
};

export class OfficialClient {
  readonly url: string;
  readonly user: { readonly id: string; readonly name: string };

  constructor(url: string, user = { id: "fcd1e5cf", name: "alice" }) {
    this.url = url;
    this.user = user;
  }

  as(id: string): OfficialClient {
    return new OfficialClient(this.url, { id, name: id });
  }

  envelope(entrypoint: string): Record<string, unknown> {
    return {
      env_vars: {
        SKYPILOT_USER_ID: this.user.id,
        SKYPILOT_USER: this.user.name,
        SKYPILOT_USAGE_RUN_ID: "ebf33e52-5a8c-4b5e-9d53-3f2a1b0c9d8e",
      },
      entrypoint,
      entrypoint_command: "sky test",
      using_remote_api_server: true,
      override_skypilot_config: {},
      override_skypilot_config_path: "[null, null]",
      file_mounts_blob_id: null,
      client_api_version: null,
    };
  }

  async post(path: string, own: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { ...OFFICIAL, "Content-Type": "application/json", ...headers },
      body: JSON.stringify({
        ...this.envelope(`sky.client.sdk${path.replaceAll("/", ".")}`),
        ...own as object,
      }),
    });
  }

  async fetch(path: string): Promise<Response> {
    return await fetch(`${this.url}${path}`, { headers: OFFICIAL });
  }

  /** Submit; the answer must be `null` and an id. */
  async submit(path: string, own: unknown, headers: Record<string, string> = {}): Promise<string> {
    return await idOf(await this.post(path, own, headers));
  }

  async get(id: string): Promise<Got> {
    const response = await this.fetch(`/api/get?request_id=${id}`);
    const json = await response.json();
    const payload: RequestPayload = response.status === 500 ? json.detail : json;
    return { http: response.status, payload, value: JSON.parse(payload.return_value) };
  }

  /** The result of a POST that must succeed. */
  async result(path: string, own: unknown): Promise<unknown> {
    const { payload, value } = await this.get(await this.submit(path, own));
    assertEquals([payload.status, payload.error], ["SUCCEEDED", "null"], path);
    return value;
  }

  async cancel(wish: { request_ids?: string[]; user_id?: string }): Promise<Cancelled> {
    const started = performance.now();
    const ids = await this.result("/api/cancel", { request_ids: null, user_id: null, ...wish });
    return { ids: (ids as string[]).toSorted(), took: performance.now() - started };
  }

  /** Status by id of what is open, or of these requests. */
  async states(ids?: readonly string[]): Promise<Map<string, string>> {
    const query = ids === undefined ? "" : `?${ids.map((id) => `request_ids=${id}`).join("&")}`;
    const response = await this.fetch(`/api/status${query}`);
    assertEquals(response.status, 200);
    const payloads: RequestPayload[] = await response.json();
    return new Map(payloads.map((payload) => [payload.request_id, payload.status]));
  }

  async state(id: string): Promise<string | undefined> {
    return (await this.states([id])).get(id);
  }
}

export async function idOf(response: Response): Promise<string> {
  const body = await response.text();
  assertEquals([response.status, body], [200, "null"]);
  const id = response.headers.get("X-Skypilot-Request-ID");
  assert(id !== null && /^[0-9a-f-]{36}$/.test(id), `no request id: ${id}`);
  return id;
}

/** The YAML that a client sends for a task (wire.md §12.3). */
export function taskYaml(run: string, more = ""): string {
  return `name: null\n---\n\n${more}resources:\n  cpus: 0.1\n\nnum_nodes: 1\n\nrun: ${JSON.stringify(run)}\n`;
}

/** Body of `/launch`. */
export function launchBody(cluster: string, run: string, more = ""): Record<string, unknown> {
  return { task: taskYaml(run, more), cluster_name: cluster, backend: "cloudvmray", quiet_optimizer: true };
}

/** Our sdk at a URL, e.g. of a proxy, with quick retries. */
export function skyAt(endpoint: string, options: Partial<SkyOptions> = {}): Sky {
  return createSky({
    endpoint,
    user: { id: "fcd1e5cf", name: "alice" },
    env: () => undefined,
    config: {},
    command: "sky test",
    remote: true,
    ...options,
    timing: { streamFirst: 1, streamCap: 5, ...options.timing },
  });
}

/** Starts the server of a `sky` and talks to it. */
export async function startedClient(sky: TestSky): Promise<OfficialClient> {
  await sky.ok(["api", "start"]);
  const registration = await sky.registration();
  if (registration === undefined) throw new Error("The server has no registration");
  return new OfficialClient(registration.url);
}
