import { assertEquals, assertThrows } from "@std/assert";
import { LaunchBody } from "../../api/clusters.ts";
import { decodeError } from "../../api/errors.ts";
import { parseBody, splitEnvelope } from "../../api/envelope.ts";
import { failedBody, PICKLED_NONE, restrictPayload, toPayload } from "../../api/payload.ts";
import { HEADERS, peerVersion, versionHeaders } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import type { RequestRecord } from "../../core/request.ts";

const RECORD: RequestRecord = {
  id: "5f2c0a0e-6f0c-4b43-9a7e-3f1f1f1f1f1f",
  name: "sky.queue",
  status: "SUCCEEDED",
  lane: "short",
  user: { id: "fcd1e5cf", name: "alice" },
  workspace: "default",
  clusterName: "c1",
  body: '{"cluster_name":"c1"}',
  createdAt: 1_780_000_000_500,
  startedAt: 1_780_000_000_600,
  finishedAt: 1_780_000_001_000,
  result: '[{"job_id":1}]',
  error: null,
  statusMessage: null,
  idempotencyKey: "key",
  attempts: 1,
};

Deno.test("toPayload makes the record of wire.md 4.1", () => {
  assertEquals(toPayload(RECORD, "get"), {
    request_id: RECORD.id,
    name: "sky.queue",
    entrypoint: "gAROLg==",
    request_body: "gAROLg==",
    status: "SUCCEEDED",
    created_at: 1780000000.5,
    user_id: "fcd1e5cf",
    return_value: '[{"job_id":1}]',
    error: "null",
    pid: null,
    schedule_type: "short",
    user_name: null,
    cluster_name: "c1",
    status_msg: null,
    should_retry: false,
    finished_at: 1780000001,
    file_mounts_blob_id: null,
  });
});

Deno.test("toPayload in readable form tells no result, and no body that may hold secrets", () => {
  const done = toPayload(RECORD, "status");
  assertEquals([done.entrypoint, done.request_body, done.return_value], [
    "queue",
    '{"cluster_name":"c1"}',
    "null",
  ]);
  assertEquals(done.user_name, "alice");
  const running = toPayload({ ...RECORD, status: "RUNNING", finishedAt: null, result: null }, "status");
  assertEquals(running.request_body, "null");
});

Deno.test("toPayload carries a failure as JSON text that decodes to the same error", () => {
  const failed: RequestRecord = {
    ...RECORD,
    status: "FAILED",
    result: null,
    error: { code: "cluster_not_found", message: "Cluster 'c1' does not exist.", hint: "sky status" },
  };
  const payload = toPayload(failed, "get");
  assertEquals(payload.return_value, "null");
  const error = decodeError(JSON.parse(payload.error));
  assertEquals([error.code, error.message, error.hint], [
    "cluster_not_found",
    "Cluster 'c1' does not exist.",
    "sky status",
  ]);
  assertEquals(failedBody(payload).detail, payload);
  assertEquals(failedBody(payload).request_id, payload.request_id);
});

Deno.test("restrictPayload keeps the asked columns and defaults the others", () => {
  const payload = restrictPayload(toPayload(RECORD, "status"), ["request_id", "name", "user_id", "status"]);
  assertEquals([payload.status, payload.user_id, payload.user_name], ["SUCCEEDED", "fcd1e5cf", "alice"]);
  assertEquals([payload.created_at, payload.schedule_type, payload.cluster_name], [0, "short", null]);
});

Deno.test("splitEnvelope parts the shared fields from an operation's own", () => {
  const { envelope, own } = splitEnvelope({
    env_vars: { SKYPILOT_USER_ID: "fcd1e5cf" },
    entrypoint: "sky.client.sdk.exec",
    entrypoint_command: "sky exec c1 'echo hi'",
    using_remote_api_server: true,
    override_skypilot_config: {},
    override_skypilot_config_path: "[null, null]",
    file_mounts_blob_id: null,
    client_api_version: null,
    task: "run: echo hi",
    cluster_name: "c1",
  });
  assertEquals(envelope.env_vars, { SKYPILOT_USER_ID: "fcd1e5cf" });
  assertEquals(envelope.entrypoint_command, "sky exec c1 'echo hi'");
  assertEquals(own, { task: "run: echo hi", cluster_name: "c1" });
});

Deno.test("splitEnvelope takes an absent body for an empty one", () => {
  for (const body of [undefined, null, {}]) {
    const { envelope, own } = splitEnvelope(body);
    assertEquals(own, {});
    assertEquals([envelope.env_vars, envelope.file_mounts_blob_id], [null, null]);
  }
});

Deno.test("splitEnvelope refuses other shapes", () => {
  for (
    const body of [[], "text", 1, { env_vars: { A: 1 } }, {
      file_mounts_blob_id: "../../x",
    }]
  ) {
    assertThrows(() => splitEnvelope(body), SkyError, "Invalid request");
  }
});

Deno.test("parseBody names what is wrong for a 422 answer", () => {
  const error = assertThrows(() => parseBody(LaunchBody, { task: "x" }), SkyError);
  const [issue] = error.details["issues"] as { loc: string[]; msg: string }[];
  assertEquals(issue?.loc, ["body", "cluster_name"]);
  assertEquals(parseBody(LaunchBody, { task: "x", cluster_name: "c", unknown: 1 }).dryrun, false);
});

Deno.test("peerVersion accepts 24 and more, ignores what is no number, refuses less", () => {
  const at = (value: string) => new Headers({ [HEADERS.apiVersion]: value, [HEADERS.version]: "0.10.0" });
  assertEquals(peerVersion(new Headers(versionHeaders()), "server"), 53);
  assertEquals(peerVersion(at("24"), "server"), 24);
  assertEquals(peerVersion(at("99"), "client"), 99);
  assertEquals(peerVersion(at("abc"), "client"), null);
  assertEquals(peerVersion(new Headers(), "client"), null);
  const error = assertThrows(() => peerVersion(at("23"), "client"), SkyError, "too old");
  assertEquals(error.code, "version_mismatch");
});

Deno.test("PICKLED_NONE is the constant of wire.md 14.2", () => {
  assertEquals(PICKLED_NONE, "gAROLg==");
});
