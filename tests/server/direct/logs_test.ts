/** `/logs` on a real local cluster: the exchange is the request; frames, offsets, exit codes, leaving (wire.md §6.11, §5.4). */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { encodeControl, type Frame, FrameParser } from "../../../api/frames.ts";
import { FRAMES_TYPE, HEADERS } from "../../../api/wire.ts";
import { ENV_VARS, makeRig, type Rig } from "../rig.ts";

/** A cluster with a job that has been submitted. */
async function withJob(rig: Rig, run: string): Promise<number> {
  const task = `name: t\nresources:\n  infra: local\nrun: |\n  ${run.replaceAll("\n", "\n  ")}\n`;
  const id = await rig.submit("/launch", { task, cluster_name: "c", quiet_optimizer: true });
  const payload = await rig.get(id);
  if (payload.status !== "SUCCEEDED") throw new Error(JSON.stringify(payload));
  return JSON.parse(payload.return_value).job_id;
}

const down = async (rig: Rig) => {
  await rig.get(await rig.submit("/down", { cluster_name: "c" }));
};

async function frames(response: Response): Promise<Frame[]> {
  const parser = new FrameParser();
  const found = parser.push(new Uint8Array(await response.arrayBuffer()));
  parser.end();
  return found;
}
const text = (all: Frame[]) =>
  all.map((frame) => frame.kind === "data" ? new TextDecoder().decode(frame.bytes) : "").join("");

Deno.test("/logs streams the job to its end; the request's result is the exit code", async () => {
  await using rig = await makeRig();
  const job = await withJob(rig, "echo hello; sleep 0.3; echo bye; exit 3");
  const response = await rig.post("/logs", { cluster_name: "c", job_id: job });
  const id = response.headers.get(HEADERS.requestId)!;
  const log = await response.text();
  assertStringIncludes(log, "hello\n");
  assertStringIncludes(log, "bye\n");
  const payload = await rig.get(id);
  assertEquals([payload.name, payload.status, payload.return_value], ["sky.logs", "SUCCEEDED", "100"]);
  const framed = await frames(
    await rig.post("/logs", { cluster_name: "c", job_id: null }, { headers: { Accept: FRAMES_TYPE } }),
  );
  assertEquals(text(framed), log);
  const end = framed.at(-1) as Frame & { kind: "end" };
  assertEquals([end.status, end.exitCode], ["SUCCEEDED", 100]);
  const offset = framed.find((frame) => frame.kind === "data")!.offset + 10;
  const later = await frames(
    await rig.post("/logs", { cluster_name: "c", job_id: job, offset }, { headers: { Accept: FRAMES_TYPE } }),
  );
  assertEquals(new TextEncoder().encode(text(later)), new TextEncoder().encode(log).slice(10));
  const tail = await rig.post("/logs", { cluster_name: "c", job_id: job, tail: 1 });
  // The last line of the job, and the one that says how it ended.
  assertEquals((await tail.text()).trimEnd().split("\n").length, 2);
  await down(rig);
});

Deno.test("/logs of what is not there: an unknown job is 102, an unknown cluster fails its request", async () => {
  await using rig = await makeRig();
  await withJob(rig, "true");
  const unknown = await rig.post("/logs", { cluster_name: "c", job_id: 99 });
  assertStringIncludes(await unknown.text(), "Job 99 not found");
  assertEquals((await rig.get(unknown.headers.get(HEADERS.requestId)!)).return_value, "102");
  const nowhere = await rig.post("/logs", { cluster_name: "nope", job_id: null });
  assertEquals([nowhere.status, await nowhere.text()], [200, ""]);
  const payload = await rig.get(nowhere.headers.get(HEADERS.requestId)!);
  assertEquals([payload.status, JSON.parse(payload.error).type], ["FAILED", "ClusterDoesNotExist"]);
  const framed = await frames(
    await rig.post("/logs", { cluster_name: "nope", job_id: null }, { headers: { Accept: FRAMES_TYPE } }),
  );
  assertEquals(framed.map((frame) => frame.kind === "end" ? frame.status : frame.kind), ["FAILED"]);
  await down(rig);
});

Deno.test("/logs: the client leaving cancels the request, not the job; others keep reading", async () => {
  await using rig = await makeRig();
  const gate = join(rig.userHome, "gate");
  const job = await withJob(rig, `echo begun; while [ ! -e ${gate} ]; do sleep 0.05; done; echo ended`);
  const left = await rig.post("/logs", { cluster_name: "c", job_id: job });
  const stays = await rig.post("/logs", { cluster_name: "c", job_id: job });
  const reader = left.body!.getReader();
  await reader.read();
  await reader.cancel();
  const payload = await rig.get(left.headers.get(HEADERS.requestId)!);
  assertEquals(payload.status, "CANCELLED");
  const status = await rig.get(await rig.submit("/job_status", { cluster_name: "c", job_ids: [job] }));
  assertEquals(JSON.parse(status.return_value), { [job]: "RUNNING" });
  await Deno.writeTextFile(gate, "");
  assertStringIncludes(await stays.text(), "ended\n");
  assertEquals(rig.deps.streams.size, 0);
  await down(rig);
});

Deno.test("/logs with follow=false ends at once; a drain tells SkyPilot's client to repeat", async () => {
  await using rig = await makeRig();
  const gate = join(rig.userHome, "gate");
  const job = await withJob(rig, `echo begun; while [ ! -e ${gate} ]; do sleep 0.05; done`);
  for (let log = ""; !log.includes("begun"); await delay(20)) {
    const now = await rig.post("/logs", { cluster_name: "c", job_id: job, follow: false });
    log = await now.text();
    assertEquals((await rig.get(now.headers.get(HEADERS.requestId)!)).return_value, "0");
  }
  const response = await rig.post("/logs", { cluster_name: "c", job_id: job });
  const whole = response.text();
  const reading = rig.deps.streams;
  assertEquals(reading.size, 1);
  for (const stream of reading) stream.interrupt();
  assert((await whole).endsWith(encodeControl("retry")));
  assertEquals((await rig.get(response.headers.get(HEADERS.requestId)!)).status, "CANCELLED");
  await Deno.writeTextFile(gate, "");
  await down(rig);
});

Deno.test("/download_logs and /download: the log comes back under the client's own names", async () => {
  await using rig = await makeRig();
  const job = await withJob(rig, "echo to take away");
  await (await rig.post("/logs", { cluster_name: "c", job_id: job })).text();
  const payload = await rig.get(
    await rig.submit("/download_logs", { cluster_name: "c", job_ids: [String(job)] }),
  );
  const paths: Record<string, string> = JSON.parse(payload.return_value);
  const shown = `~/.sky/api_server/clients/${ENV_VARS.SKYPILOT_USER_ID}/sky_logs/c/1-t`;
  assertEquals(paths, { [job]: shown });
  const response = await rig.post("/download", { folder_paths: [shown] });
  assertEquals([response.status, response.headers.get("content-type")], [200, "application/zip"]);
  const home = response.headers.get("x-home-path")!;
  assertEquals(home, rig.userHome);
  const { unzipSync } = await import("fflate");
  const members = unzipSync(new Uint8Array(await response.arrayBuffer()));
  const run = `${home.slice(1)}/${shown.slice(2)}/run.log`;
  assert(run in members, Object.keys(members).join(", "));
  assertStringIncludes(new TextDecoder().decode(members[run]), "to take away\n");
  const items = unzipSync(
    new Uint8Array(
      await (await rig.post("/download?relative=items", { folder_paths: [shown] })).arrayBuffer(),
    ),
  );
  assert("1-t/run.log" in items);

  const refused = async (folder_paths: unknown, user = ENV_VARS.SKYPILOT_USER_ID) => {
    const env_vars = { ...ENV_VARS, SKYPILOT_USER_ID: user };
    const answer = await rig.post("/download", { folder_paths, env_vars });
    await answer.body?.cancel();
    return answer.status;
  };
  assertEquals(await refused([shown], "other"), 400);
  assertEquals(await refused([`${shown}/../../../../x`]), 400);
  assertEquals(await refused(["/etc"]), 400);
  assertEquals(await refused([`${shown}/nope`]), 404);
  assertEquals(await refused("x"), 422);
  const folder = join(rig.home.clients, ENV_VARS.SKYPILOT_USER_ID, "sky_logs");
  await Deno.symlink("/etc", join(folder, "out"));
  assertEquals(await refused([`~/.sky/api_server/clients/${ENV_VARS.SKYPILOT_USER_ID}/sky_logs/out`]), 400);
  await down(rig);
});

Deno.test("/provision_logs: the log of the last launch; nothing recorded is 404", async () => {
  await using rig = await makeRig();
  await withJob(rig, "true");
  const response = await rig.post("/provision_logs?follow=true&tail=0", { cluster_name: "c", worker: null });
  assertEquals(response.status, 200);
  assertStringIncludes(await response.text(), "Cluster launched: c");
  const framed = await frames(
    await rig.post("/provision_logs", { cluster_name: "c" }, { headers: { Accept: FRAMES_TYPE } }),
  );
  assertEquals(framed.at(-1)!.kind, "end");
  for (const body of [{ cluster_name: "nope" }, { cluster_name: "c", worker: 1 }]) {
    const missing = await rig.post("/provision_logs", body);
    assertEquals([missing.status, typeof (await missing.json()).detail], [404, "string"]);
  }
  const none = await rig.post("/provision_logs", {});
  assertEquals(none.status, 422);
  await none.body?.cancel();
  await down(rig);
});

Deno.test("status, queue, cost report and exec as SkyPilot's clients read them", async () => {
  await using rig = await makeRig();
  const job = await withJob(rig, "true");
  await (await rig.post("/logs", { cluster_name: "c", job_id: job })).text();
  const result = async (path: string, body: Record<string, unknown> = {}) => {
    const payload = await rig.get(await rig.submit(path, body));
    if (payload.status !== "SUCCEEDED") throw new Error(payload.error);
    return JSON.parse(payload.return_value);
  };
  const [cluster] = await result("/status", { cluster_names: ["c*"], include_credentials: true });
  for (const field of ["launched_at", "autostop", "nodes", "status_updated_at"]) {
    assert(Number.isInteger(cluster[field]), field);
  }
  assertEquals([cluster.status, cluster.cloud, cluster.user_hash, cluster.workspace], [
    "UP",
    "Local",
    "abcd1234",
    "default",
  ]);
  assertStringIncludes(cluster.resources_str, "1x(cpus=");
  assertEquals(cluster.handle.launched_resources.infra, "ssh/local");
  assertEquals(cluster.handle.stable_internal_external_ips.length, 1);
  const [bare] = await result("/status", { include_handle: false });
  assertEquals("handle" in bare, false);
  assertEquals(await result("/status", { cluster_names: ["nope"] }), []);
  assertEquals(
    await result("/status", { all_users: false, env_vars: { ...ENV_VARS, SKYPILOT_USER_ID: "zz" } }),
    [],
  );
  const [row] = await result("/queue", { cluster_name: "c" });
  assertEquals([row.job_id, row.job_name, row.status, row.metadata], [1, "t", "SUCCEEDED", {}]);
  assertEquals(typeof row.submitted_at, "number");
  assertEquals(await result("/job_status", { cluster_name: "c", job_ids: null }), { 1: "SUCCEEDED" });
  const [cost] = await result("/cost_report", { days: 30 });
  assertEquals([cost.name, cost.num_nodes, Number.isInteger(cost.duration)], ["c", 1, true]);
  assert("resources" in cost && "status" in cost);
  const events = await result("/cluster_events", {
    cluster_name: "c",
    event_type: "STATUS_CHANGE",
    include_timestamps: true,
  });
  assert(events.length > 0 && Number.isInteger(events[0].transitioned_at));
  const done = await result("/exec", { task: "run: echo again", cluster_name: "c" });
  assertEquals([done.job_id, done.handle.cluster_name], [2, "c"]);
  assertEquals(await result("/check", { clouds: ["local"] }), {
    default: { Local: ["compute"] },
  });
  await down(rig);
});
