import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { CloudContext, NoOffer, ProvisionSpec } from "../../../clouds/cloud.ts";
import { local } from "../../../clouds/local/mod.ts";
import type { Handle, LaunchedResources } from "../../../core/cluster.ts";
import { SkyError } from "../../../core/errors.ts";
import { alive, ended, markedBelow, processEnv, signal, until } from "../support.ts";

const RESOURCES: LaunchedResources = {
  cloud: "local",
  region: null,
  zone: null,
  instanceType: "2CPU--2GB",
  cpus: 2,
  memory: 2,
  accelerators: null,
  useSpot: false,
  diskSize: 256,
  ports: [],
  labels: {},
  imageId: null,
  hourlyCost: 0,
};

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

function spec(name: string, options: Partial<ProvisionSpec> = {}): ProvisionSpec {
  return {
    nameOnCloud: name,
    clusterName: name,
    numNodes: 1,
    resources: RESOURCES,
    previous: null,
    ...options,
  };
}

async function withCloud(
  work: (ctx: CloudContext, root: string) => Promise<void>,
  options: { gpus?: string } = {},
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "sky cloud " });
  let path = processEnv("PATH")!;
  if (options.gpus !== undefined) {
    path = `${root}/bin:${path}`;
    await Deno.mkdir(join(root, "bin"));
    const script = `#!/bin/sh\ncat <<'E'\n${options.gpus}\nE\n`;
    await Deno.writeTextFile(join(root, "bin/nvidia-smi"), script, { mode: 0o755 });
  }
  const ctx: CloudContext = {
    folder: join(root, "nodes"),
    config: {},
    signal,
    log: { line: () => {}, status: () => {} },
    env: (name) => name === "PATH" ? path : processEnv(name),
    now: () => 0,
  };
  try {
    await work(ctx, root);
  } finally {
    for await (const { name } of Deno.readDir(ctx.folder)) {
      if (!name.startsWith(".")) await local.terminate(local.prepare(spec(name, { numNodes: 9 })), ctx);
    }
    assertEquals(await markedBelow(root), []);
    await Deno.remove(root, { recursive: true });
  }
}

const states = async (handle: Handle, ctx: CloudContext) =>
  (await local.inspect(handle, ctx)).map((node) => node.state);

Deno.test("check says local is there", async () => {
  await withCloud(async (ctx) => {
    await Deno.mkdir(ctx.folder);
    const { enabled, offers, reason } = await local.check(ctx);
    assertEquals([enabled, offers, reason], [true, ["compute"], null]);
  });
});

Deno.test("provision makes nodes with homes and addresses of their own", () =>
  withCloud(async (ctx) => {
    const a = await local.provision(spec("a-1", { numNodes: 3 }), ctx);
    const b = await local.provision(spec("b-1"), ctx);
    const nodes = [...await local.inspect(a, ctx), ...await local.inspect(b, ctx)];
    assertEquals(nodes.map((node) => node.id), ["node0", "node1", "node2", "node0"]);
    assertEquals(nodes.map((node) => node.state), ["up", "up", "up", "up"]);
    const ips = nodes.map((node) => node.internalIp);
    if (Deno.build.os === "linux") assertEquals(new Set(ips).size, 4);
    for (const ip of ips) Deno.listen({ hostname: ip, port: 0 }).close();
    const runner = local.runners(a, ctx)[1]!;
    assertEquals(runner.home, join(ctx.folder, "a-1/node1"));
    const { stdout } = await runner.run(["sh", "-c", "cd; ls -A; stat -c %a . sky_workdir"], { signal });
    assertEquals(stdout, ".sky\nsky_logs\nsky_workdir\n700\n700\n");
    assertEquals(await local.endpoints!(a, ["8080", "9000-9001"], ctx), {
      8080: `http://${ips[0]}:8080`,
      9000: `http://${ips[0]}:9000`,
      9001: `http://${ips[0]}:9001`,
    });
    assertEquals(await local.capacity(b, ctx), [{ cpus: 2, memoryGb: 2, accelerators: null }]);
    assertEquals(JSON.parse(JSON.stringify(a)), a);
  }));

Deno.test("provision twice, or after a half-done attempt, finds what was made before", () =>
  withCloud(async (ctx) => {
    const first = await local.provision(spec("c-1", { numNodes: 2 }), ctx);
    const [runner] = local.runners(first, ctx);
    await runner!.run(["sh", "-c", "echo kept >~/file"], { signal });
    // As a crash in the middle leaves it: a node without its file, another not there at all.
    await Deno.remove(join(ctx.folder, "c-1/node0/.sky/node.json"));
    await Deno.remove(join(ctx.folder, "c-1/node1"), { recursive: true });
    assertEquals(await states(first, ctx), ["unknown", "gone"]);
    const again = await local.provision(spec("c-1", { numNodes: 2, previous: first }), ctx);
    assertEquals(again, first);
    assertEquals(await states(again, ctx), ["up", "up"]);
    assertEquals((await runner!.run(["cat", "file"], { signal })).stdout, "kept\n");
  }));

Deno.test("inspect of what was only prepared is gone, and terminate of it succeeds", () =>
  withCloud(async (ctx) => {
    const handle = local.prepare(spec("p-1", { numNodes: 2 }));
    assertEquals(await states(handle, ctx), ["gone", "gone"]);
    await local.terminate(handle, ctx);
    await Deno.mkdir(ctx.folder, { recursive: true });
  }));

Deno.test("prepare and runners refuse names that would leave the folder", () =>
  withCloud(async (ctx) => {
    await Deno.mkdir(ctx.folder);
    for (const name of ["..", ".x", "a/b", "", "a\0"]) {
      assertThrows(() => local.runners(local.prepare(spec(name)), ctx), SkyError, "name of a local cluster");
    }
    assertThrows(() => local.runners({ version: 2 }, ctx), SkyError, "version 2");
  }));

Deno.test("stop kills jobs and keeps the directory, provision revives with the same address", () =>
  withCloud(async (ctx) => {
    const handle = await local.provision(spec("s-1"), ctx);
    const [runner] = local.runners(handle, ctx);
    await runner!.startJob({ ...start, script: "echo up; setsid sleep 100 & sleep 100" }, { signal });
    await runner!.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
    await local.stop!(handle, ctx);
    assertEquals(await states(handle, ctx), ["stopped"]);
    assertEquals(await markedBelow(ctx.folder), []);
    assertEquals((await runner!.jobState("1-t", "run", { signal })).exitCode, 143);
    const again = await local.provision(spec("s-1", { previous: handle }), ctx);
    assertEquals(again, handle);
    assertEquals(await states(handle, ctx), ["up"]);
  }));

Deno.test("terminate kills everything of the cluster, nothing of others, and removes it all", () =>
  withCloud(async (ctx, root) => {
    const [a, b] = [
      await local.provision(spec("t", { numNodes: 2 }), ctx),
      await local.provision(spec("t-2"), ctx),
    ];
    const script =
      `trap '' TERM; setsid sh -c "trap '' TERM; sleep 100; sleep 100" & echo up; sleep 100; sleep 100`;
    const [a0, a1] = local.runners(a, ctx);
    const [b0] = local.runners(b, ctx);
    for (const runner of [a0!, a1!, b0!]) {
      await runner.startJob({ ...start, script }, { signal });
      await runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
    }
    await a0!.run(["sh", "-c", "mkdir -p ro/sub; touch ro/sub/f; chmod 400 ro/sub/f; chmod 555 ro/sub ro"], {
      signal,
    });
    const link = `/var/tmp/sky test ${crypto.randomUUID()}`;
    await Deno.mkdir(join(root, "data"));
    await a0!.upload(join(root, "data"), link, { signal });
    await Deno.lstat(link);

    await local.terminate(a, ctx);
    assertEquals(await states(a, ctx), ["gone", "gone"]);
    await assertRejects(() => Deno.lstat(link), Deno.errors.NotFound);
    assert((await b0!.jobState("1-t", "run", { signal })).alive);
    assertEquals(await markedBelow(join(ctx.folder, "t")), []);
    const left = (await Array.fromAsync(Deno.readDir(ctx.folder))).map((entry) => entry.name).sort();
    assertEquals(left, [".addresses", "t-2"]);
    assertEquals((await Array.fromAsync(Deno.readDir(join(ctx.folder, ".addresses")))).length, 1);
    await local.terminate(a, ctx);
    await b0!.killJob("1-t", "run", { graceMs: 0, signal });
  }));

Deno.test("terminate kills what a job left behind after it ended", () =>
  withCloud(async (ctx) => {
    const handle = await local.provision(spec("d-1"), ctx);
    const [runner] = local.runners(handle, ctx);
    const script = "setsid sleep 100 </dev/null >/dev/null 2>&1 & echo $!; nohup sleep 100 >/dev/null 2>&1 &";
    await runner!.startJob({ ...start, script }, { signal });
    await ended(runner!, "1-t");
    assertEquals((await markedBelow(ctx.folder)).length, 2);
    await local.terminate(handle, ctx);
    assertEquals(await markedBelow(ctx.folder), []);
  }));

Deno.test("a later terminate sweeps what a crash left of an earlier one", () =>
  withCloud(async (ctx) => {
    const half = `.gone-x-1-${crypto.randomUUID()}`;
    const foreign = `.gone-x-1-2-${crypto.randomUUID()}`;
    for (const name of [half, foreign]) {
      await Deno.mkdir(join(ctx.folder, name, "node0"), { recursive: true });
    }
    await local.terminate(local.prepare(spec("x-1")), ctx);
    const left = (await Array.fromAsync(Deno.readDir(ctx.folder))).map(({ name }) => name);
    assertEquals(left, [foreign], "another cluster's teardown is its own business");
  }));

Deno.test("clusters of one folder are torn down at the same time", () =>
  withCloud(async (ctx) => {
    const names = Array.from({ length: 12 }, (_, i) => `t-${i}`);
    const handles = await Promise.all(names.map((name) => local.provision(spec(name), ctx)));
    await Promise.all(handles.map((handle) => local.terminate(handle, ctx)));
    const left = (await Array.fromAsync(Deno.readDir(ctx.folder))).map(({ name }) => name);
    assertEquals(left.filter((name) => name.startsWith("t-") || name.startsWith(".gone")), []);
  }));

Deno.test("removeTree removes read-only directories without being root", async () => {
  const root = await Deno.makeTempDir();
  const tree = join(root, "tree");
  await Deno.mkdir(join(tree, "a/b"), { recursive: true });
  await Deno.writeTextFile(join(tree, "a/b/f"), "");
  await new Deno.Command("chmod", { args: ["400", join(tree, "a/b/f")] }).output();
  await new Deno.Command("chmod", { args: ["000", join(tree, "a/b"), join(tree, "a")] }).output();
  const fixture = fromFileUrl(new URL("./fixture_open_up.ts", import.meta.url));
  const deno = [Deno.execPath(), "run", "-A", "--no-check", fixture, tree];
  // Root passes every mode unless it gives that up.
  const caps = "-dac_override,-dac_read_search";
  const argv = Deno.uid() === 0 ? ["setpriv", "--inh-caps", caps, "--bounding-set", caps, ...deno] : deno;
  const { stdout } = await new Deno.Command(argv[0]!, { args: argv.slice(1), stderr: "inherit" }).output();
  assertEquals(new TextDecoder().decode(stdout), "ok");
  await assertRejects(() => Deno.lstat(tree), Deno.errors.NotFound);
  await Deno.remove(root, { recursive: true });
});

Deno.test("GPUs go to one node each, come back on stop and down, and are counted", () =>
  withCloud(async (ctx) => {
    const resources = { ...RESOURCES, accelerators: { L4: 1 } };
    const a = await local.provision(spec("g-1", { numNodes: 2, resources }), ctx);
    const indexes = async (handle: Handle) =>
      (await local.capacity(handle, ctx)).map((node) => node.accelerators!.indexes);
    assertEquals(await indexes(a), [[1], [2]]);
    assertEquals((await local.capacity(a, ctx))[0]!.accelerators!.name, "L4");
    assertEquals(await local.gpus!(ctx), [
      { place: "local", gpu: "H100", perNode: [1], total: 1, free: 1 },
      { place: "local", gpu: "L4", perNode: [3], total: 3, free: 1 },
    ]);
    // Again: the same ones.
    await local.provision(spec("g-1", { numNodes: 2, resources, previous: a }), ctx);
    assertEquals(await indexes(a), [[1], [2]]);

    const two = { ...RESOURCES, accelerators: { L4: 2 } };
    const error = await assertRejects(() => local.provision(spec("g-2", { resources: two }), ctx), SkyError);
    assertEquals(error.code, "resources_unavailable");
    assertEquals((await local.gpus!(ctx))[1]!.free, 1, "a failed attempt keeps nothing");
    await local.stop!(a, ctx);
    assertEquals(await indexes(a), [[], []]);
    const b = await local.provision(spec("g-2", { resources: two }), ctx);
    assertEquals(await indexes(b), [[1, 2]]);
    await assertRejects(
      () => local.provision(spec("g-1", { numNodes: 2, resources, previous: a }), ctx),
      SkyError,
      "other local clusters hold",
    );
    await local.terminate(b, ctx);
    await local.provision(spec("g-1", { numNodes: 2, resources, previous: a }), ctx);
    assertEquals((await local.gpus!(ctx))[1]!.free, 1);
  }, {
    gpus: "0, NVIDIA H100 80GB HBM3, 81559\n1, NVIDIA L4, 23034\n2, NVIDIA L4, 23034\n3, NVIDIA L4, 23034",
  }));

Deno.test("offers come from this machine", () =>
  withCloud(async (ctx) => {
    await Deno.mkdir(ctx.folder);
    const wish = {
      cloud: "local",
      region: null,
      zone: null,
      instanceType: null,
      cpus: null,
      memory: null,
      accelerators: null,
      acceleratorArgs: null,
      useSpot: null,
      jobRecovery: null,
      diskSize: null,
      diskTier: null,
      networkTier: null,
      localDisk: null,
      ephemeralStorage: null,
      maxHourlyCost: null,
      ports: null,
      imageId: null,
      labels: null,
      autostop: null,
      priority: null,
      priorityClass: null,
      other: {},
    };
    const offers = await local.offers(wish, 1, ctx);
    assert(Array.isArray(offers) && offers.length === 1);
    const none = await local.offers({ ...wish, cpus: "100000" }, 1, ctx) as NoOffer;
    assert(none.hint!.includes("This machine has"));
  }));

Deno.test("provision stops at an abort", () =>
  withCloud(async (ctx) => {
    await Deno.mkdir(ctx.folder);
    const aborted = { ...ctx, signal: AbortSignal.abort(new SkyError("request_cancelled", "enough")) };
    await assertRejects(() => local.provision(spec("a-1"), aborted), SkyError, "enough");
  }));

Deno.test("a request's children are recorded where the context says", () =>
  withCloud(async (ctx, root) => {
    const processes = join(root, "processes/r1");
    const handle = await local.provision(spec("r-1"), ctx);
    const [runner] = local.runners(handle, { ...ctx, processes });
    const abort = new AbortController();
    const running = runner!.run(["sleep", "100"], { signal: abort.signal });
    const [entry] = await until(async () => {
      const found = await Array.fromAsync(Deno.readDir(processes)).catch(() => []);
      const text = found[0] === undefined ? "" : await Deno.readTextFile(join(processes, found[0].name));
      return text.endsWith("\n") ? [Number(text.split(" ")[0])] : null;
    }, "a record");
    assert(alive(entry!));
    abort.abort(new Error("stop"));
    await assertRejects(() => running, Error, "stop");
    assert(!alive(entry!));
    assertEquals(await Array.fromAsync(Deno.readDir(processes)), []);
  }));
