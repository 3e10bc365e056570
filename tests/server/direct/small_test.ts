/** The small direct routes: uploads over HTTP, completion, validate. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { ENV_VARS, makeRig, type Rig } from "../rig.ts";
import { LINK, zipOf } from "../uploads/zips.ts";

const ID = "cd".repeat(32);

async function chunk(rig: Rig, body: Uint8Array, query: Record<string, string> = {}, path = "/upload_v2") {
  const params = new URLSearchParams({
    user_hash: ENV_VARS.SKYPILOT_USER_ID,
    upload_id: ID,
    chunk_index: "0",
    total_chunks: "1",
    ...query,
  });
  const response = await rig.app(`${path}?${params}`, {
    method: "POST",
    body: new Blob([body as Uint8Array<ArrayBuffer>]).stream(),
    headers: { "content-type": "application/octet-stream" },
  });
  return { status: response.status, json: await response.json() };
}

Deno.test("upload_v2: asked, sent, asked again; what is wrong is refused and leaves nothing", async () => {
  await using rig = await makeRig();
  const exists = async () => await (await rig.app(`/upload_v2/blob?user_hash=abcd1234&blob_id=${ID}`)).json();
  assertEquals(await exists(), { exists: false });
  for (
    const bad of [
      zipOf([{ name: "../x" }]),
      zipOf([{ name: "l", content: "/etc", mode: LINK }]),
      new Uint8Array(9),
    ]
  ) {
    const answer = await chunk(rig, bad);
    assertEquals(answer.status, 400);
    assertStringIncludes(answer.json.detail, "Invalid zip file");
  }
  assertEquals((await chunk(rig, new Uint8Array(), { chunk_index: "5" })).status, 400);
  assertEquals((await chunk(rig, new Uint8Array(), { chunk_index: "x" })).status, 422);
  assertEquals((await chunk(rig, new Uint8Array(), { upload_id: "../../etc" })).status, 400);
  assertEquals((await chunk(rig, new Uint8Array(), { user_hash: "../x" })).status, 400);
  assertEquals(await exists(), { exists: false });
  const zip = zipOf([{ name: "home/u/proj/run.sh", content: "echo uploaded\n", mode: 0o100755 }]);
  const half = await chunk(rig, zip.slice(0, 40), { total_chunks: "2" });
  assertEquals(half.json, { status: "uploading", missing_chunks: ["part1"] });
  const whole = await chunk(rig, zip.slice(40), { total_chunks: "2", chunk_index: "1" });
  assertEquals(whole, { status: 200, json: { status: "completed", missing_chunks: null } });
  assertEquals(await exists(), { exists: true });
  const bad = await rig.app("/upload_v2/blob?user_hash=u&blob_id=nope");
  assertEquals(bad.status, 400);
  await bad.body?.cancel();
});

Deno.test("an uploaded workdir is what the job runs in; unmapped paths are refused", async () => {
  await using rig = await makeRig();
  const zip = zipOf([{ name: "home/u/proj/run.sh", content: "echo uploaded\n", mode: 0o100755 }]);
  await chunk(rig, zip);
  const task = (mapping: string) =>
    `resources:\n  infra: local\nworkdir: /home/u/proj\nrun: ./run.sh\nfile_mounts_mapping:\n  ${mapping}\n`;
  const launch = (mapping: string) =>
    rig.submit("/launch", {
      task: task(mapping),
      cluster_name: "up",
      file_mounts_blob_id: ID,
      quiet_optimizer: true,
    });
  const good = await rig.get(await launch("/home/u/proj: /home/u/proj"));
  assertEquals([good.status, good.error], ["SUCCEEDED", "null"]);
  const log = await (await rig.post("/logs", { cluster_name: "up", job_id: null })).text();
  assertStringIncludes(log, "uploaded\n");
  for (const mapping of ["/elsewhere: /elsewhere", "/home/u/proj: /home/../../../../etc"]) {
    const bad = await rig.get(await launch(mapping));
    assertEquals([mapping, JSON.parse(bad.error).type], [mapping, "ValueError"]);
  }
  await rig.get(await rig.submit("/down", { cluster_name: "up" }));
});

Deno.test("upload v1 goes to the user's one folder", async () => {
  await using rig = await makeRig();
  const upload_id = "sky-2026-01-02-03-04-05-123456-0123abcd";
  const answer = await chunk(rig, zipOf([{ name: "tmp/a", content: "A" }]), { upload_id }, "/upload");
  assertEquals(answer.json.status, "completed");
  assertEquals(await Deno.readTextFile(join(rig.deps.blobs.base("abcd1234", null), "tmp/a")), "A");
  assertEquals((await chunk(rig, new Uint8Array(), {}, "/upload")).status, 400);
});

Deno.test("a chunk larger than allowed is 413", async () => {
  await using rig = await makeRig({ blobLimits: { maxPartBytes: 100 } });
  assertEquals((await chunk(rig, new Uint8Array(101))).status, 413);
});

Deno.test("completion: names that begin so, active requests first", async () => {
  await using rig = await makeRig({ works: { "sky.check": () => Promise.resolve(null) } });
  const words = async (kind: string, incomplete = ""): Promise<string[]> =>
    await (await rig.app(`/api/completion/${kind}?incomplete=${incomplete}`)).json();
  assertEquals(await words("cluster_name"), []);
  assertEquals(await words("storage_name"), []);
  assertEquals(await words("volume_name"), []);
  const id = await rig.submit("/check");
  await rig.get(id);
  assertEquals(await words("api_request", id.slice(0, 5)), [id]);
  assertEquals(await words("api_request", "zz"), []);
});

Deno.test("validate: null for a good task, 400 with an exception for a bad one", async () => {
  await using rig = await makeRig();
  const validate = async (dag: string, cluster_name: string | null = null) => {
    const response = await rig.post("/validate", { dag, request_options: { cluster_name } });
    return { status: response.status, json: await response.json() };
  };
  assertEquals(await validate("name: x\nrun: echo\n"), { status: 200, json: null });
  assertEquals(await validate("name: dag\n---\nrun: a\n---\nrun: b\n"), { status: 200, json: null });
  const bad = await validate("run: [1\n");
  assertEquals([bad.status, typeof bad.json.detail.type, typeof bad.json.detail.message], [
    400,
    "string",
    "string",
  ]);
  assertEquals((await validate("nonsense: 1\n")).status, 400);
  assertEquals((await validate("run: x\n", "bad name!")).json.detail.type, "InvalidClusterNameError");
  const variables = (count: number) =>
    `envs:\n${Array.from({ length: count }, (_, i) => `  K${i}: v${i}\n`).join("")}run: x\n`;
  assertEquals((await validate(variables(5_000))).status, 200);
  const large = await validate(variables(20_000));
  assertEquals(large.status, 400);
  assertStringIncludes(large.json.detail.message, "more than 50000 tokens");
  const none = await rig.post("/validate", { dag: "run: x" });
  assertEquals(none.status, 422);
  await none.body?.cancel();
});
