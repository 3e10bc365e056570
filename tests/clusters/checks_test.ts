import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { listAcceleratorCounts, listAccelerators } from "../../clusters/accelerators.ts";
import { check } from "../../clusters/checks.ts";
import { enabledInfra } from "../../clusters/infra.ts";
import type { CheckResult, CloudContext, GpuSummary } from "../../clouds/cloud.ts";
import { SkyError } from "../../core/errors.ts";
import { FakeCloud } from "../support/fake_cloud.ts";
import { inWorld } from "./world.ts";

class Kubernetes extends FakeCloud {
  constructor(folder: string) {
    super({ folder, name: "kubernetes", displayName: "Kubernetes" });
  }
  override check(_ctx: CloudContext): Promise<CheckResult> {
    return Promise.resolve({
      enabled: true,
      offers: ["compute"],
      reason: null,
      hint: null,
      places: [
        { name: "ctx-a", ok: true, reason: null },
        { name: "ctx-b", ok: false, reason: "no route" },
      ],
    });
  }
  gpus(): Promise<readonly GpuSummary[]> {
    return Promise.resolve([{ place: "ctx-a", gpu: "H100", perNode: [8, 6], total: 14, free: 3 }]);
  }
}
class Broken extends FakeCloud {
  constructor(folder: string) {
    super({ folder, name: "azure", displayName: "Azure" });
  }
  override check(): Promise<CheckResult> {
    return Promise.reject(new Error("its file is garbage"));
  }
}
const more = (folder: string) => [new Kubernetes(join(folder, "k")), new Broken(join(folder, "a"))];
const ALL = { clouds: null, workspace: null };

Deno.test("check reports line by line and returns what is enabled", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const ctx = server.context();
    assertEquals(await check(ALL, ctx, server.room), {
      default: { AWS: ["compute"], Kubernetes: ["compute"] },
    });
    assertEquals(ctx.lines, [
      "Checking credentials to enable infra for SkyPilot.",
      "  AWS: enabled [compute]",
      "  Azure: disabled ",
      "    Reason [compute]: its file is garbage",
      "  Kubernetes: enabled [compute]",
      "    Allowed contexts:",
      "    ├── ctx-a: enabled.",
      "    └── ctx-b: disabled. Reason: no route",
      "",
      "🎉 Enabled infra 🎉",
      "  AWS [compute]",
      "  Kubernetes [compute]",
      "    Allowed contexts:",
      "    └── ctx-a",
      "",
      "To enable a cloud, follow the hints above and rerun: sky check",
      "If any problems remain, refer to detailed docs at: " +
      "https://docs.skypilot.co/en/latest/getting-started/installation.html",
    ]);
    assertEquals(await enabledInfra({ expand: false }, ctx, server.room), ["aws", "kubernetes"]);
    assertEquals(await enabledInfra({ expand: true }, ctx, server.room), ["aws", "kubernetes/ctx-a"]);
  }, { more });
});

Deno.test("check of named clouds leaves what is known of the others", async () => {
  await inWorld(async (world, cloud) => {
    await using server = await world.serve();
    await check(ALL, server.context(), server.room);
    cloud.enabled = false;
    const ctx = server.context();
    assertEquals(await check({ ...ALL, clouds: ["AWS", "gcp", "k8s/ctx-a"] }, ctx, server.room), {
      default: { Kubernetes: ["compute"] },
    });
    assertEquals(ctx.lines.slice(1, 5), [
      "  AWS: disabled ",
      "    Reason [compute]: switched off by the test",
      "  GCP: disabled ",
      "    Reason [compute]: this version of sky cannot reach it.",
    ]);
    assertEquals(await enabledInfra({ expand: false }, ctx, server.room), ["kubernetes"]);
    await assertRejects(
      () => check({ ...ALL, clouds: ["nocloud"] }, ctx, server.room),
      SkyError,
      "Cloud 'nocloud' is not a valid cloud among",
    );
    const workspace = await assertRejects(
      () => check({ clouds: null, workspace: "x" }, ctx, server.room),
      SkyError,
    );
    assertEquals(
      workspace.message,
      "Workspace 'x' not found in SkyPilot configuration. Available workspaces: default",
    );
  }, { more });
});

Deno.test("check with nothing enabled says so", async () => {
  await inWorld(async (world, cloud) => {
    cloud.enabled = false;
    await using server = await world.serve();
    const ctx = server.context();
    assertEquals(await check(ALL, ctx, server.room), { default: {} });
    assertEquals(ctx.lines.slice(4, 6), ["🎉 Enabled infra 🎉", "  No infra to check/enabled."]);
  });
});

Deno.test("listAccelerators offers the quantities that fit on a node", async () => {
  await inWorld(async (world) => {
    await using server = await world.serve();
    const filter = { name: null, caseSensitive: true, quantity: null, region: null, clouds: null };
    const ctx = server.context();
    assertEquals(await listAcceleratorCounts(filter, ctx, server.room), { H100: [1, 2, 4, 8] });
    const found = await listAccelerators(
      { ...filter, name: "h1", caseSensitive: false, quantity: 8 },
      ctx,
      server.room,
    );
    assertEquals(found, {
      H100: [{
        cloud: "Kubernetes",
        accelerator: "H100",
        count: 8,
        instanceType: null,
        cpus: null,
        deviceMemory: 80,
        memory: null,
        price: 0,
        spotPrice: null,
        region: "ctx-a",
      }],
    });
    assertEquals(await listAccelerators({ ...filter, name: "h1" }, ctx, server.room), {});
    assertEquals(await listAccelerators({ ...filter, clouds: ["AWS"] }, ctx, server.room), {});
    await assertRejects(
      () => listAccelerators({ ...filter, name: "(" }, ctx, server.room),
      SkyError,
      "not a regular expression",
    );
  }, { more });
});
