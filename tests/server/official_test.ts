/** What SkyPilot's own clients are answered otherwise than ours (wire.md §14.8, §18.37). */
import { assertEquals } from "@std/assert";
import type { WireHandle } from "../../api/clusters.ts";
import { pickledHandle, pickledResources } from "../../api/handles.ts";
import { PICKLED_NONE } from "../../api/payload.ts";
import { HEADERS, VERSION } from "../../api/wire.ts";
import { makeRig } from "./rig.ts";

Deno.test("SkyPilot's clients get a request that fails for what only others have", async () => {
  await using rig = await makeRig();
  const headers = { [HEADERS.apiVersion]: "62", "Content-Type": "application/json" };
  const env_vars = { SKYPILOT_USER_ID: "abcd1234", SKYPILOT_USER: "al" };
  for (
    const [method, path, name] of [["POST", "/jobs/launch", "sky.jobs.launch"], [
      "GET",
      "/new-thing",
      "sky.new-thing",
    ]]
  ) {
    const body = method === "POST" ? { body: JSON.stringify({ env_vars, task: "secret" }) } : {};
    const response = await rig.app(path!, { method: method!, headers, ...body });
    assertEquals([response.status, await response.text()], [200, "null"]);
    const id = response.headers.get(HEADERS.requestId)!;
    const got = await rig.app(`/api/get?request_id=${id}`, { headers });
    assertEquals(got.status, 500);
    const { detail } = await got.json();
    const error = JSON.parse(detail.error);
    assertEquals([detail.name, detail.status, error.type], [name, "FAILED", "NotSupportedError"]);
    assertEquals(error.message, `'${name}' is not supported by this API server`);
    const record = await rig.engine.record(id);
    assertEquals([record.body, record.user.id], ["{}", method === "POST" ? "abcd1234" : rig.deps.user.id]);
  }
  for (const path of ["/users/export", "/ssh_node_pools/x/y", "/api/nothing"]) {
    const direct = await rig.app(path, { method: "POST", body: "{}", headers });
    await direct.body?.cancel();
    assertEquals([path, direct.status], [path, 501]);
  }
});

Deno.test("old clients get pickled handles and old statuses", async () => {
  const handle: WireHandle = {
    cluster_name: "c",
    cluster_name_on_cloud: "c-1",
    cluster_yaml: null,
    launched_nodes: 1,
    launched_resources: { infra: "ssh/local", cpus: "2" },
    stable_internal_external_ips: null,
    stable_ssh_ports: null,
    docker_user: null,
    is_grpc_enabled: false,
    ssh_user: null,
  };
  const record = { name: "c", status: "AUTOSTOPPING", handle };
  const pickled = pickledHandle(handle);
  const cost = { name: "c", status: "UP", resources: handle.launched_resources };
  await using rig = await makeRig({
    works: {
      "sky.status": () => Promise.resolve([record]),
      "sky.launch": () => Promise.resolve({ job_id: 1, handle }),
      "sky.exec": () => Promise.resolve({ job_id: 2, handle: null }),
      "sky.start": () => Promise.resolve(handle),
      "sky.cost_report": () => Promise.resolve([cost]),
      "sky.enabled_clouds": () => Promise.resolve(["local", "ssh/pool"]),
      "sky.realtime_slurm_gpu_availability": () => Promise.resolve([["hpc", [], "no route"]]),
    },
  });
  const result = async (path: string, body: Record<string, unknown>, version: string) => {
    const id = await rig.submit(path, body);
    return await read(id, { [HEADERS.apiVersion]: version });
  };
  const read = async (id: string, headers: Record<string, string>) => {
    const response = await rig.app(`/api/get?request_id=${id}`, { headers });
    return JSON.parse((await response.json()).return_value);
  };
  assertEquals(await result("/status", {}, "50"), [record]);
  assertEquals(await result("/status", {}, "40"), [{ ...record, handle: pickled }]);
  assertEquals(await result("/status", {}, "28"), [{ ...record, handle: pickled, status: "INIT" }]);
  const launch = { task: "run: x", cluster_name: "c" };
  assertEquals(await result("/launch", launch, "40"), { job_id: 1, handle: pickled });
  assertEquals(await result("/exec", launch, "40"), { job_id: 2, handle: PICKLED_NONE });
  assertEquals(await result("/start", { cluster_name: "c" }, "40"), pickled);
  assertEquals(await result("/cost_report", {}, "40"), [
    { ...cost, resources: pickledResources(cost.resources) },
  ]);
  assertEquals(await result("/slurm_gpu_availability", {}, "36"), [["hpc", [], "no route"]]);
  assertEquals(await result("/slurm_gpu_availability", {}, "35"), [["hpc", []]]);
  // No version of theirs knows a cloud "local"; ours do.
  const asked = await rig.app("/enabled_clouds", { headers: { [HEADERS.apiVersion]: "62" } });
  const id = asked.headers.get(HEADERS.requestId)!;
  assertEquals(await read(id, { [HEADERS.apiVersion]: "62" }), ["ssh/local", "ssh/pool"]);
  assertEquals(await read(id, { [HEADERS.apiVersion]: "53", [HEADERS.client]: VERSION }), [
    "local",
    "ssh/pool",
  ]);
});

Deno.test("SkyPilot's clients ask for Slurm's nodes by GET, whose body can't be read", async () => {
  const asked: unknown[] = [];
  await using rig = await makeRig({
    works: { "sky.slurm_node_info": (body) => (asked.push(body), Promise.resolve([])) },
  });
  const ids = [
    await rig.submit("/slurm_node_info", { slurm_cluster_name: "hpc" }),
    ...await Promise.all(["", "?slurm_cluster_name=lab"].map(async (query) => {
      const response = await rig.app(`/slurm_node_info${query}`, { headers: { [HEADERS.apiVersion]: "62" } });
      assertEquals(response.status, 200);
      return response.headers.get(HEADERS.requestId)!;
    })),
  ];
  for (const id of ids) assertEquals((await rig.get(id)).status, "SUCCEEDED");
  const names = asked.map((body) => (body as { slurm_cluster_name: string | null }).slurm_cluster_name);
  assertEquals(names.toSorted(), ["hpc", "lab", null]);
});
