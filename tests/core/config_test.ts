import { assertEquals } from "@std/assert";
import { lookup, mergeConfig, overlayRequestConfig } from "../../core/config.ts";

Deno.test("mergeConfig merges maps and replaces lists and scalars", () => {
  assertEquals(mergeConfig({ a: { b: 1, c: [1, 2] }, d: 1 }, { a: { c: [3], e: 5 }, d: { f: 1 } }), {
    a: { b: 1, c: [3], e: 5 },
    d: { f: 1 },
  });
  assertEquals(mergeConfig({}, {}), {});
});

Deno.test("mergeConfig merges named lists below pod_config and custom_metadata", () => {
  const base = {
    kubernetes: { pod_config: { spec: { containers: [{ name: "a", x: 1 }, { name: "b" }], args: [1] } } },
  };
  const over = {
    kubernetes: { pod_config: { spec: { containers: [{ name: "a", y: 2 }, { name: "c" }], args: [2] } } },
  };
  assertEquals(mergeConfig(base, over), {
    kubernetes: {
      pod_config: {
        spec: { containers: [{ name: "a", x: 1, y: 2 }, { name: "b" }, { name: "c" }], args: [2] },
      },
    },
  });
});

Deno.test("mergeConfig and lookup do not reach prototypes", () => {
  const hostile = JSON.parse('{"__proto__": {"polluted": 1}, "a": {"__proto__": {"b": 1}}}');
  const merged = mergeConfig({ a: { c: 1 } }, hostile);
  assertEquals(({} as Record<string, unknown>)["polluted"], undefined);
  assertEquals((merged as { polluted?: unknown }).polluted, undefined);
  assertEquals(lookup({}, "constructor.name"), undefined);
  assertEquals(lookup({ a: { b: 1 } }, "a.b"), 1);
  assertEquals(lookup({ a: [1] }, "a.0"), undefined);
});

Deno.test("overlayRequestConfig drops what only the server decides and names what differs", () => {
  const server = {
    api_server: { endpoint: "x" },
    workspaces: { default: {} },
    jobs: { controller: { consolidation_mode: true, resources: { cpus: 4 } } },
    kubernetes: { namespace: "a" },
  };
  const client = {
    api_server: { endpoint: "y" },
    workspaces: { default: {} },
    allowed_clouds: ["aws"],
    jobs: {
      controller: { consolidation_mode: false, resources: { cpus: 8 }, task_logs_gc_retention_hours: 1 },
    },
    serve: { controller: { consolidation_mode: true } },
    slurm: { cluster_configs: { c: {} }, cpu_partition: "p" },
    kubernetes: { namespace: "b" },
    active_workspace: "team",
  };
  assertEquals(overlayRequestConfig(server, client), {
    config: {
      api_server: { endpoint: "x" },
      workspaces: { default: {} },
      jobs: { controller: { consolidation_mode: true, resources: { cpus: 8 } } },
      kubernetes: { namespace: "b" },
      serve: { controller: {} },
      slurm: { cpu_partition: "p" },
      active_workspace: "team",
    },
    ignored: [
      "api_server",
      "allowed_clouds",
      "jobs.controller.consolidation_mode",
      "serve.controller.consolidation_mode",
      "jobs.controller.task_logs_gc_retention_hours",
      "slurm.cluster_configs",
    ],
  });
  assertEquals(overlayRequestConfig({}, {}), { config: {}, ignored: [] });
});
