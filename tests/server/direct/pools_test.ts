/** SSH node pools over HTTP (wire.md §7.8). */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { HEADERS } from "../../../api/wire.ts";
import { makeRig } from "../rig.ts";

const BASE = "/ssh_node_pools";

Deno.test("pools are merged into the file by name, read back and dropped; a bad one changes nothing", async () => {
  await using rig = await makeRig();
  const file = join(rig.userHome, ".sky", "ssh_node_pools.yaml");
  assertEquals(await (await rig.app(BASE)).json(), {});
  await Deno.mkdir(join(rig.userHome, ".sky"), { recursive: true });
  await Deno.writeTextFile(file, "old: {hosts: [10.0.0.1]}\nlab: {hosts: [a]}\n");
  const lab = { user: "u", hosts: ["10.0.0.2", { ip: "10.0.0.3", port: 2222 }] };
  const merged = await rig.post(BASE, { lab: { ...lab, password: "secret" } });
  assertEquals([merged.status, await merged.json()], [200, { status: "success" }]);
  assertEquals(await (await rig.app(BASE)).json(), { old: { hosts: ["10.0.0.1"] }, lab });
  assertEquals(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const bad = await rig.post(BASE, { lab: { hosts: [] }, good: { hosts: ["a"] } });
  assertEquals(bad.status, 400);
  assertStringIncludes(await bad.text(), "SSH Node Pool 'lab' has no hosts defined");
  assertEquals(Object.keys(await (await rig.app(BASE)).json()), ["old", "lab"]);
  const status = await (await rig.app(`${BASE}/lab/status`)).json();
  assertEquals([status.pool_name, status.context_name, status.status], ["lab", "ssh-lab", "Not Ready"]);
  assertEquals((await rig.app(`${BASE}/nope/status`)).status, 404);
  assertEquals((await rig.app(`${BASE}/old`, { method: "DELETE" })).status, 200);
  assertEquals((await rig.app(`${BASE}/old`, { method: "DELETE" })).status, 404);
  assertEquals(Object.keys(await (await rig.app(BASE)).json()), ["lab"]);
});

Deno.test("keys are kept for their owner only, under names that are file names", async () => {
  await using rig = await makeRig();
  const send = async (name: string) => {
    const form = new FormData();
    form.set("key_name", name);
    form.set("key_file", new File(["secret\n"], "k"));
    const body = new Response(form);
    const bytes = await body.bytes();
    return await rig.app(`${BASE}/keys`, {
      method: "POST",
      body: bytes,
      headers: {
        "content-type": body.headers.get("content-type")!,
        "content-length": String(bytes.length),
      },
    });
  };
  const kept = await send("lab_key");
  assertEquals(await kept.json(), { status: "success", key_path: "~/.sky/ssh_keys/lab_key" });
  const path = join(rig.userHome, ".sky", "ssh_keys", "lab_key");
  assertEquals(await Deno.readTextFile(path), "secret\n");
  assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  assertEquals((await send("../evil")).status, 400);
  assertEquals(await (await rig.app(`${BASE}/keys`)).json(), ["lab_key"]);
});

Deno.test("up and down are requests of their names; a pool in the path is the infra of the body", async () => {
  const seen: unknown[] = [];
  const work = (name: string) => (body: unknown) => {
    seen.push([name, (body as { infra: unknown }).infra]);
    return Promise.resolve(null);
  };
  await using rig = await makeRig({
    works: { "sky.ssh_node_pools.up": work("up"), "sky.ssh_node_pools.down": work("down") },
  });
  for (const path of ["/lab/deploy", "/deploy", "/lab/down", "/down"]) {
    const response = await rig.app(BASE + path, { method: "POST" });
    const answer = await response.json();
    assertEquals([answer.status, answer.request_id], ["success", response.headers.get(HEADERS.requestId)]);
    await rig.get(answer.request_id);
  }
  assertEquals(seen, [["up", "lab"], ["up", null], ["down", "lab"], ["down", null]]);
});
