import { assert, assertEquals } from "@std/assert";
import {
  decodeError,
  encodeError,
  errorBody,
  errorDict,
  httpStatus,
  isErrorCode,
  qualifiedName,
} from "../../api/errors.ts";
import { dumpPickle, fromBase64, toBase64 } from "../../api/pickle.ts";
import { loadPickle } from "../../api/unpickle.ts";
import { type ErrorCode, SkyError } from "../../core/errors.ts";

const CODES: ErrorCode[] = [
  ...[
    "usage",
    "aborted",
    "invalid_argument",
    "invalid_task",
    "invalid_cluster_name",
    "invalid_config",
  ] as const,
  ...[
    "file_not_found",
    "not_implemented",
    "not_supported",
    "permission_denied",
    "cluster_not_found",
  ] as const,
  ...["cluster_not_up", "cluster_owner_mismatch", "resources_unavailable", "resources_mismatch"] as const,
  ...["no_infra_enabled", "command_failed", "storage", "request_not_found", "request_ambiguous"] as const,
  ...["request_cancelled", "request_interrupted", "network", "timeout", "server_unreachable"] as const,
  ...["server_busy", "server_start_failed", "disk_full", "auth_required", "version_mismatch"] as const,
  ...["payload_too_large", "stream_cut", "database_corrupt", "internal"] as const,
];

/** Classes that SkyPilot's client can make from one text (wire.md §14.6), and CommandError. */
const MAKEABLE = [
  ..."ValueError RuntimeError TimeoutError FileNotFoundError NotImplementedError OSError ClusterDoesNotExist"
    .split(" "),
  ..."ClusterNotUpError ResourcesUnavailableError ResourcesMismatchError NotSupportedError StorageError"
    .split(" "),
  ..."NoCloudAccessError ClusterOwnerIdentityMismatchError PermissionDeniedError InvalidClusterNameError"
    .split(" "),
  ..."InvalidSkyPilotConfigError NetworkError RequestCancelled ServerTemporarilyUnavailableError".split(" "),
  ..."ClientError CommandError".split(" "),
];

Deno.test("encodeError then decodeError gives back every code with hint and details", () => {
  for (const code of CODES) {
    const error = new SkyError(code, `about ${code}`, { hint: "sky check", details: { a: [1] } });
    const wire = JSON.parse(JSON.stringify(encodeError(error)));
    assert(MAKEABLE.includes(wire.type), `${code} is sent as ${wire.type}`);
    const back = decodeError(wire);
    assertEquals([back.code, back.message, back.hint], [code, `about ${code}`, "sky check"]);
    assertEquals(back.details["a"], [1]);
    assert(isErrorCode(code) && httpStatus(code) >= 400);
  }
});

Deno.test("encodeError writes the pickled dict that SkyPilot's client rebuilds the exception from", () => {
  const wire = encodeError(new SkyError("cluster_not_found", "Cluster 'c1' does not exist."));
  assertEquals([wire.type, wire.message], ["ClusterDoesNotExist", "Cluster 'c1' does not exist."]);
  assertEquals(loadPickle(fromBase64(wire.object)), {
    type: "ClusterDoesNotExist",
    message: "Cluster 'c1' does not exist.",
    stacktrace: null,
    args: ["Cluster 'c1' does not exist."],
    attributes: {},
  });
});

Deno.test("encodeError sends CommandError with attributes and no args", () => {
  const dict = errorDict({ code: "command_failed", message: "setup failed", details: { returnCode: 7 } });
  assertEquals(dict.args, []);
  assertEquals(dict.attributes, {
    returncode: 7,
    command: "",
    error_msg: "setup failed",
    detailed_reason: null,
  });
});

Deno.test("encodeError tells the stack of what is no SkyError and of nothing else", () => {
  const dict = loadPickle(fromBase64(encodeError(new TypeError("oops")).object)) as Record<string, unknown>;
  assertEquals([dict["type"], dict["message"]], ["RuntimeError", "oops"]);
  assert(String(dict["stacktrace"]).includes("TypeError: oops"));
  const told = loadPickle(fromBase64(encodeError(new SkyError("network", "gone")).object)) as Record<
    string,
    unknown
  >;
  assertEquals(told["stacktrace"], null);
});

Deno.test("decodeError reads an official server's error object", () => {
  const object = toBase64(dumpPickle({
    type: "ResourcesUnavailableError",
    message: "no room",
    args: ["no room"],
    attributes: { no_failover: true },
    stacktrace: "Traceback …",
  }));
  const error = decodeError({ object, type: "ResourcesUnavailableError", message: "no room" });
  assertEquals([error.code, error.message], ["resources_unavailable", "no room"]);
  assertEquals(error.details["stacktrace"], "Traceback …");
  assertEquals(qualifiedName(error), "sky.exceptions.ResourcesUnavailableError");
});

Deno.test("decodeError believes the dict, as SkyPilot's client does, where the type beside it is the cause's", () => {
  const object = toBase64(
    dumpPickle({ type: "CloudError", message: "requests error: no route", args: ["no route"] }),
  );
  const error = decodeError({ object, type: "ConnectionError", message: "no route" });
  assertEquals([qualifiedName(error), error.message], [
    "sky.exceptions.CloudError",
    "requests error: no route",
  ]);
});

Deno.test("decodeError keeps the class of errors that have no code of their own", () => {
  const cases = [
    ["KeyError", "internal", "KeyError"],
    ["AssertionError", "internal", "AssertionError"],
    ["VolumeNotFoundError", "internal", "sky.exceptions.VolumeNotFoundError"],
    ["StorageInitError", "storage", "sky.exceptions.StorageInitError"],
    ["PermissionError", "permission_denied", "PermissionError"],
    ["RuntimeError", "internal", "RuntimeError"],
    ["ValueError", "invalid_argument", "ValueError"],
  ] as const;
  for (const [type, code, shown] of cases) {
    const error = decodeError({ object: "gAROLg==", type, message: "m" });
    assertEquals([error.code, qualifiedName(error), error.message], [code, shown, "m"]);
  }
});

Deno.test("decodeError reads plain dicts, texts and nothing", () => {
  assertEquals(decodeError({ type: "ValueError", args: ["bad yaml"] }).message, "bad yaml");
  assertEquals(decodeError({ type: "ValueError", args: ["bad yaml"] }).code, "invalid_argument");
  assertEquals(decodeError("plain text").message, "plain text");
  assertEquals(decodeError(null).message, "Unknown server error (no detail in response)");
  assertEquals(
    decodeError({ type: "ValueError", message: "m", object: "not base64 *" }).code,
    "invalid_argument",
  );
});

Deno.test("errorBody carries detail for SkyPilot's client and the code for ours", () => {
  const { status, body } = errorBody(
    new SkyError("request_ambiguous", "two match: a, b", { hint: "sky api status" }),
  );
  assertEquals(status, 400);
  assertEquals(body, {
    detail: "two match: a, b",
    sky: { code: "request_ambiguous", hint: "sky api status" },
  });
  const error = decodeError(body);
  assertEquals([error.code, error.message, error.hint], [
    "request_ambiguous",
    "two match: a, b",
    "sky api status",
  ]);
});

Deno.test("qualifiedName shows Python's own classes bare and the others with their module", () => {
  assertEquals(qualifiedName(new SkyError("invalid_argument", "")), "ValueError");
  assertEquals(
    qualifiedName(new SkyError("server_unreachable", "")),
    "sky.exceptions.ApiServerConnectionError",
  );
  assertEquals(qualifiedName(new SkyError("internal", "", { details: { type: "a.b.C" } })), "a.b.C");
});
