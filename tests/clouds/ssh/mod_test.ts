/** The ssh cloud on real sshds: what the conformance suite does not ask. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import type { CloudContext, Offer, ProvisionSpec } from "../../../clouds/cloud.ts";
import { ssh } from "../../../clouds/ssh/mod.ts";
import { claimsIn, remnantsOn } from "../../../clouds/ssh/ledger.ts";
import type { Handle } from "../../../core/cluster.ts";
import { SkyError } from "../../../core/errors.ts";
import { parseResources } from "../../../core/resources_parse.ts";
import type { SshdOptions } from "../../support/sshd.ts";
import { until } from "../support.ts";
import { canServe, PoolSite } from "./site.ts";

interface Stage {
  readonly site: PoolSite;
  readonly ctx: CloudContext;
  readonly lines: string[];
  readonly folder: string;
  spec(name: string, wish?: Record<string, unknown>, numNodes?: number): Promise<ProvisionSpec>;
  launch(name: string, wish?: Record<string, unknown>, numNodes?: number): Promise<Handle>;
  run(handle: Handle, node: number, ...argv: string[]): Promise<string>;
}

async function onStage(
  options: { count?: number; options?: readonly SshdOptions[] },
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "sky-pool-" });
  const folder = join(home, ".sky", "server", "clouds", "ssh");
  const lines: string[] = [];
  const signal = new AbortController().signal;
  const env = (name: string) => name === "HOME" ? home : Deno.env.get(name);
  const log = { line: (text: string) => void lines.push(text), status: () => {} };
  const ctx: CloudContext = { folder, config: {}, signal, log, env, processes: null, now: Date.now };
  const site = await PoolSite.open(home, options);
  const spec = async (name: string, wish: Record<string, unknown> = {}, numNodes = 1) => {
    const found = await ssh.offers(parseResources(wish).candidates[0]!, numNodes, ctx);
    assert(Array.isArray(found), JSON.stringify(found));
    const [offer] = found as Offer[];
    return {
      nameOnCloud: `${name}-1`,
      clusterName: name,
      numNodes,
      resources: offer!.resources,
      previous: null,
    };
  };
  try {
    await work({
      site,
      ctx,
      lines,
      folder,
      spec,
      launch: async (name, wish, numNodes) => await ssh.provision(await spec(name, wish, numNodes), ctx),
      async run(handle, node, ...argv) {
        const { stdout, stderr, code } = await ssh.runners(handle, ctx)[node]!.run(argv, { signal });
        assertEquals([code, stderr], [0, ""]);
        return stdout.trim();
      },
    });
  } finally {
    await ssh.close!(folder);
    await site[Symbol.asyncDispose]();
    await Deno.remove(home, { recursive: true });
  }
}

/** Its tests need an sshd. */
function test(name: string, work: () => Promise<void>): void {
  Deno.test({ name, ignore: !canServe, fn: work });
}

const states = async (handle: Handle, ctx: CloudContext) =>
  (await ssh.inspect(handle, ctx)).map((node) => node.state);

test("a pool's hosts are checked in parallel, and each shows why it can't be used", () =>
  onStage({ count: 2 }, async ({ site, ctx, lines }) => {
    await site.hosts[1]!.stop();
    const extra = "    - { ip: 127.0.0.1, name: h3, port: 1, identity_file: /nowhere/key }\n" +
      "    - { ip: 127.0.0.9, name: h4, password: secret }\n";
    const file = join(ctx.env!("HOME")!, ".sky", "ssh_node_pools.yaml");
    await Deno.writeTextFile(file, site.poolText() + extra);
    const { enabled, places } = await ssh.check(ctx);
    assertEquals([enabled, places.map(({ name, ok }) => [name, ok])], [true, [["lab", true]]]);
    await ssh.setUp!(null, ctx);
    const text = lines.join("\n");
    assertStringIncludes(text, "Found 1 Node Pool: lab");
    assertStringIncludes(text, "h3: SSH Identity File Missing: /nowhere/key");
    assertStringIncludes(text, "h4: it has a password only");
    assertStringIncludes(text, "SSH Node Pool 'lab': 1 of 4 hosts ready");
    assertEquals(text.includes("secret"), false);
    await Deno.writeTextFile(file, "lab: {hosts: []}");
    await assertRejects(() => ssh.check(ctx), SkyError, "SSH Node Pool 'lab' has no hosts defined");
    await Deno.remove(file);
    assertStringIncludes((await ssh.check(ctx)).reason!, "does not exist");
  }));

test("clusters share a host's GPUs in slices, and what is not there is said", async () => {
  const tools = await Deno.makeTempDir();
  const gpus = Array.from({ length: 4 }, (_, i) => `${i}, NVIDIA H100 80GB HBM3, 81559`).join("\n");
  await Deno.writeTextFile(join(tools, "nvidia-smi"), `#!/bin/sh\necho "${gpus}"\n`, { mode: 0o755 });
  const path = `${tools}:${Deno.env.get("PATH")}`;
  await onStage({ count: 1, options: [{ path }] }, async ({ ctx, launch, spec, folder }) => {
    const wish = { accelerators: "H100:2", cpus: 0.5, memory: 1 };
    const [a, b] = [await launch("a", wish), await launch("b", wish)];
    const indexes = async (handle: Handle) => (await ssh.capacity(handle, ctx))[0]!.accelerators!.indexes;
    assertEquals([...await indexes(a), ...await indexes(b)].toSorted(), [0, 1, 2, 3]);
    const third = await spec("c", wish);
    const error = await assertRejects(() => ssh.provision(third, ctx), SkyError);
    assertEquals(error.code, "resources_unavailable");
    assertStringIncludes(error.message, "h1: 0 H100 free");
    assertEquals(await ssh.gpus!(ctx), [{ place: "ssh-lab", gpu: "H100", perNode: [4], total: 4, free: 0 }]);
    await ssh.stop!(a, ctx);
    assertEquals(await ssh.gpus!(ctx), [{ place: "ssh-lab", gpu: "H100", perNode: [4], total: 4, free: 2 }]);
    await ssh.terminate(b, ctx);
    await ssh.terminate(a, ctx);
    assertEquals(await claimsIn(folder), []);
    const [node] = await ssh.nodes!(ctx);
    assertEquals([node!.gpusFree, node!.cpusFree], [4, node!.cpus]);
    assertEquals(ssh.prepare(third).nodes, null);
  });
  await Deno.remove(tools, { recursive: true });
});

test("a host that does not answer is passed over, and known nodes are not forgotten for it", () =>
  onStage({ count: 2 }, async ({ site, ctx, launch, lines, run }) => {
    await ssh.check(ctx);
    await site.hosts[0]!.stop();
    const wish = { cpus: 0.5 };
    const a = await launch("a", wish);
    assert(lines.some((line) => line.startsWith("Trying another host")));
    const host = (handle: Handle) => (handle.nodes as { machine: string }[]).map((node) => node.machine);
    assertEquals(host(a), [`127.0.0.1:${site.hosts[1]!.port}`]);
    await run(a, 0, "sh", "-c", "echo kept >~/file");
    await site.hosts[0]!.restart();
    await site.hosts[1]!.stop();
    const [info] = await ssh.inspect(a, ctx);
    assertEquals(info!.state, "unknown");
    assertStringIncludes(info!.reason!, "h2");
    const error = await assertRejects(() => ssh.terminate(a, ctx), SkyError, "Cannot reach all hosts");
    assertEquals([error.code, error.hint?.includes("sky down --purge a")], ["network", true]);
    const again = { ...await specOf(a), previous: a };
    // Its data is there: no other host will do.
    await assertRejects(() => ssh.provision(again, ctx), SkyError);
    await site.hosts[1]!.restart();
    assertEquals(await ssh.provision(again, ctx), a);
    assertEquals(await run(a, 0, "cat", "file"), "kept");
    await ssh.terminate(a, ctx);
    assertEquals(await states(a, ctx), ["gone"]);

    function specOf(handle: Handle): Promise<ProvisionSpec> {
      const resources = {
        cloud: "ssh",
        region: "ssh-lab",
        zone: null,
        instanceType: null,
        cpus: handle.cpus as number,
        memory: handle.memoryGb as number,
        accelerators: null,
        useSpot: false,
        diskSize: 1,
        ports: [],
        labels: {},
        imageId: null,
        hourlyCost: 0,
      };
      return Promise.resolve({
        nameOnCloud: "a-1",
        clusterName: "a",
        numNodes: 1,
        resources,
        previous: null,
      });
    }
  }));

test("a purged cluster frees what it had, and its remains go with the next one there", () =>
  onStage({ count: 1 }, async ({ site, ctx, launch, folder, run }) => {
    const a = await launch("a");
    await run(a, 0, "sh", "-c", "echo old >~/file");
    await site.hosts[0]!.stop();
    const said = await ssh.abandon!(a, ctx);
    assertStringIncludes(said!, "may still run there");
    assertEquals(await claimsIn(folder), []);
    await site.hosts[0]!.restart();
    const machine = `127.0.0.1:${site.hosts[0]!.port}`;
    assertEquals((await remnantsOn(folder, machine)).length, 1);
    // One of the same name, which must not inherit the files.
    const again = await launch("a");
    assertEquals(await run(again, 0, "sh", "-c", "ls ~"), "sky_logs\nsky_workdir");
    assertEquals(await remnantsOn(folder, machine), []);
    await ssh.terminate(again, ctx);
    assertEquals(await site.leftovers(), []);
  }));

test("a launch cut short is found by its name, and taken down without a handle's help", () =>
  onStage({ count: 2 }, async ({ site, ctx, spec, folder }) => {
    const asked = await spec("a", {}, 2);
    const prepared = ssh.prepare(asked);
    assertEquals(await ssh.inspect(prepared, ctx), []);
    await ssh.provision(asked, ctx);
    assertEquals(await states(prepared, ctx), ["up", "up"]);
    await ssh.terminate(prepared, ctx);
    assertEquals([await site.leftovers(), await claimsIn(folder)], [[], []]);
  }));

test("nodes are armed to end themselves, disarmed, and the guard goes with the node", () =>
  onStage({ count: 1 }, async ({ site, ctx, launch, run }) => {
    const a = await launch("a");
    const policy = {
      idleMinutes: 5,
      down: true,
      waitFor: "jobs_and_ssh",
      lastActiveAt: Date.now(),
      busy: false,
    } as const;
    await ssh.guard!(a, policy, ctx);
    await ssh.guard!(a, policy, ctx);
    const pid = await until(() => run(a, 0, "sh", "-c", "cat ~/.sky/guard.pid || :"), "the guard");
    assertStringIncludes(await run(a, 0, "cat", ".sky/guard"), "300 1 2 0 0 ");
    assertEquals(await ssh.logins!(a, ctx), 0);
    await ssh.guard!(a, null, ctx);
    assertEquals(await run(a, 0, "sh", "-c", "ls ~/.sky"), "guard.pid\nnode");
    await ssh.guard!(a, policy, ctx);
    assertEquals(await run(a, 0, "cat", ".sky/guard.pid"), pid);
    await ssh.terminate(a, ctx);
    assertEquals(await site.leftovers(), []);
  }));

test("people are told how to log in and where ports are; a port is given once", () =>
  onStage({ count: 1 }, async ({ site, ctx, launch, spec }) => {
    const [host] = site.hosts;
    const a = await launch("a", { cpus: 0.5, ports: ["8080", "9000-9001"] });
    const access = await ssh.access!(a, ctx);
    assertEquals(access?.privateKey, await Deno.readTextFile(host!.identityFile));
    const { home, ...way } = access!.nodes[0]!;
    assertEquals(way, { internalIp: "127.0.0.1", host: "127.0.0.1", port: host!.port });
    assertStringIncludes(home!, `${host!.home}/.sky/nodes/`);
    assertEquals(await ssh.endpoints!(a, ["8080", "9000-9001"], ctx), {
      "8080": "http://127.0.0.1:8080",
      "9000": "http://127.0.0.1:9000",
      "9001": "http://127.0.0.1:9001",
    });
    const second = await spec("b", { cpus: 0.5, ports: [9001] });
    await assertRejects(() => ssh.provision(second, ctx), SkyError, "h1: port 9001 taken");
    await ssh.terminate(a, ctx);
    await ssh.terminate(await ssh.provision(second, ctx), ctx);
  }));

test("links that uploads made outside of a home go with it, others stay; so do directories nobody may enter", () =>
  onStage({ count: 1 }, async ({ site, ctx, launch, run }) => {
    const a = await launch("a");
    const out = site.hosts[0]!.root;
    const odd = `${out}/a "quoted\\" link`;
    const links = [`${out}/mine`, odd, `${out}/other`].map((path) => `${JSON.stringify(path)}\n`).join("");
    await ssh.runners(a, ctx)[0]!.run(["sh", "-c", 'cat >"$HOME/.sky/links"'], {
      signal: ctx.signal,
      stdin: `not JSON\n${links}`,
    });
    await run(
      a,
      0,
      "sh",
      "-c",
      'ln -s "$HOME/x" "$0"; ln -s "$HOME/x" "$1"; ln -s / "$2"',
      `${out}/mine`,
      odd,
      `${out}/other`,
    );
    await run(a, 0, "sh", "-c", "mkdir -p ~/x/y && chmod 0 ~/x");
    await ssh.terminate(a, ctx);
    const left = (await Array.fromAsync(Deno.readDir(out))).filter((entry) => entry.isSymlink);
    assertEquals(left.map(({ name }) => name), ["other"]);
    assertEquals(await site.leftovers(), []);
  }));

test("a changed host key is refused, and said", () =>
  onStage({ count: 1 }, async ({ site, ctx, launch }) => {
    const a = await launch("a");
    await site.hosts[0]!.stop();
    await site.hosts[0]!.makeHostKey();
    await site.hosts[0]!.restart();
    await ssh.close!(ctx.folder);
    const error = await assertRejects(() => ssh.inspect(a, ctx), SkyError, "its host key is not the one");
    assertEquals(error.code, "permission_denied");
  }));

test("the login user's bashrc holds in jobs and sees the HOME it was written for", () =>
  onStage({ count: 1 }, async ({ site, ctx, launch, run }) => {
    const { home } = site.hosts[0]!;
    await Deno.writeTextFile(join(home, ".bashrc"), 'export TOOLS="$HOME/tools"\n');
    const a = await launch("a");
    const told = await run(a, 0, "bash", "-c", '. ~/.bashrc; echo "$TOOLS $HOME"');
    assertEquals(told.split(" ")[0], `${home}/tools`);
    assertStringIncludes(told, `${home}/.sky/nodes/`);
    await ssh.terminate(a, ctx);
    await ssh.tearDown!("lab", ctx);
    const b = await launch("b");
    await assertRejects(() => ssh.tearDown!(null, ctx), SkyError, "clusters are there (b-1)");
    await ssh.terminate(b, ctx);
  }));

test("aliases of the user's ssh config and jump hosts lead there, and are the same machine", () =>
  onStage({ count: 2 }, async ({ site, ctx, folder, run }) => {
    const home = ctx.env!("HOME")!;
    const [gate, inner] = site.hosts as [PoolSite["hosts"][number], PoolSite["hosts"][number]];
    // The gate lets in who has the inner host's key.
    await Deno.copyFile(`${inner.identityFile}.pub`, join(gate.root, "authorized_keys"));
    await Deno.mkdir(join(home, ".ssh"));
    const user = Deno.env.get("USER") ?? "root";
    await Deno.writeTextFile(
      join(home, ".ssh", "config"),
      `Host box*\n  HostName 127.0.0.1\n  Port ${inner.port}\n  User ${user}\n` +
        `  IdentityFile ${inner.identityFile}\nHost *\n  Compression no\n`,
    );
    await Deno.writeTextFile(
      join(home, ".sky", "ssh_node_pools.yaml"),
      `alias: {user: nobody-there, identity_file: /nowhere, hosts: [box1]}\n` +
        `direct: {user: ${user}, identity_file: ${inner.identityFile}, port: ${inner.port}, hosts: [127.0.0.1]}\n` +
        `jump: {user: ${user}, identity_file: ${inner.identityFile}, proxy_jump: "${user}@127.0.0.1:${gate.port}", ` +
        `hosts: [{ip: 127.0.0.1, port: ${inner.port}}]}\n`,
    );
    assertEquals((await ssh.check(ctx)).places.map(({ name, ok }) => [name, ok]), [
      ["alias", true],
      ["direct", true],
      ["jump", true],
    ]);
    const machines: string[] = [];
    for (const pool of ["alias", "direct", "jump"]) {
      const wish = parseResources({ infra: `ssh/${pool}`, cpus: 0.5 }).candidates[0]!;
      const [offer] = await ssh.offers(wish, 1, ctx) as Offer[];
      const spec = { nameOnCloud: pool, clusterName: pool, numNodes: 1, previous: null };
      const handle = await ssh.provision({ ...spec, resources: offer!.resources }, ctx);
      assertEquals(await run(handle, 0, "sh", "-c", "echo $HOME | grep -o nodes"), "nodes");
      machines.push((await claimsIn(folder)).find(({ cluster }) => cluster === pool)!.machine);
      const access = await ssh.access!(handle, ctx);
      assertEquals(access?.privateKey, await Deno.readTextFile(inner.identityFile));
      assertEquals(access?.proxyCommand === null, pool !== "jump");
      await ssh.terminate(handle, ctx);
    }
    assertEquals(machines[0], machines[1]);
    assertStringIncludes(machines[2]!, "via");
  }));

test("provision waits for the only host that goes away meanwhile, not for one that was away before", async () => {
  await onStage({ count: 1 }, async ({ site, ctx, lines, spec }) => {
    const [host] = site.hosts;
    const wish = await spec("a");
    const waits = () => lines.filter((line) => line.includes("Waiting for 'h1' to come back")).length;
    await host!.stop();
    const coming = ssh.provision(wish, ctx);
    await until(() => waits() === 1, "it waits", 20_000);
    await host!.restart();
    const handle = await coming;
    assertEquals(await states(handle, ctx), ["up"]);
    await ssh.terminate(handle, ctx);
    await host!.stop();
    const leave = new AbortController();
    const leaving = ssh.provision(wish, { ...ctx, signal: leave.signal });
    leaving.catch(() => {});
    await until(() => waits() === 2, "it waits again", 20_000);
    const leftAt = performance.now();
    leave.abort(new SkyError("request_cancelled", "gone"));
    await assertRejects(() => leaving, SkyError, "gone");
    assert(performance.now() - leftAt < 1000);
    const error = await assertRejects(() => ssh.provision(wish, ctx), SkyError);
    assertEquals([error.code, waits()], ["resources_unavailable", 2]);
    await host!.restart();
    await ssh.terminate(ssh.prepare(wish), ctx);
    assertEquals(await claimsIn(ctx.folder), []);
  });
});
