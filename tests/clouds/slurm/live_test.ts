import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import type { CloudContext, Offer } from "../../../clouds/cloud.ts";
import { slurm } from "../../../clouds/slurm/mod.ts";
import type { Handle } from "../../../core/cluster.ts";
import { SkyError } from "../../../core/errors.ts";
import { newResources } from "../../../core/resources.ts";
import type { TestSlurm } from "../../support/slurm.ts";
import { ended, until } from "../support.ts";
import { real, RESOURCES, signal, spec, withCloud } from "./support.ts";

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const states = async (handle: Handle, ctx: CloudContext) =>
  (await slurm.inspect(handle, ctx)).map((node) => node.state);
const told = async (handle: Handle, ctx: CloudContext) => {
  const [node] = await slurm.inspect(handle, ctx);
  return `${node!.state}: ${node!.reason}`;
};

/** Takes both nodes until `release`. */
async function occupy(slurm: TestSlurm, times = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    await slurm.run("sbatch", "-N2", "--exclusive", "--job-name=other", "-o/dev/null", "--wrap=sleep 1000");
  }
}

async function release(slurm: TestSlurm): Promise<void> {
  await slurm.run("scancel", "--name=other");
  await until(async () => (await slurm.run("squeue", "-h", "--name=other")).trim() === "", "an empty queue");
}

Deno.test({
  ...real("a cluster of two nodes: launch, run, jobs, down"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const accelerators = { H100: 2 };
      const resources = { ...RESOURCES, accelerators };
      const handle = await slurm.provision(spec("a-1", { numNodes: 2, resources }), ctx);
      assertEquals(JSON.parse(JSON.stringify(handle)), handle);
      const infos = await slurm.inspect(handle, ctx);
      assertEquals(infos.map(({ id, state, internalIp }) => [id, state, internalIp]), [
        ["n1", "up", "127.0.0.1"],
        ["n2", "up", "127.0.0.1"],
      ]);
      const [one, two] = await slurm.capacity(handle, ctx);
      assertEquals(one, { cpus: 1, memoryGb: 0.5, accelerators: { name: "H100", indexes: [0, 1] } });
      assertEquals(two, one);
      const [head, worker] = slurm.runners(handle, ctx);
      const argv = ["sh", "-c", 'echo "$1 $SECRET $SLURMD_NODENAME"; pwd; cat; exit 5', "x", "a  'b"];
      const said = await worker!.run(argv, { signal, env: { SECRET: "s$(x)\n'" }, stdin: "in" });
      assertEquals(said, { code: 5, stdout: `a  'b s$(x)\n' n2\n${worker!.home}\nin`, stderr: "" });

      await head!.startJob({
        ...start,
        script: 'pwd; echo "$WHO $CUDA_VISIBLE_DEVICES ${SLURM_NTASKS-none}"; exit 3',
        env: { WHO: "it's me", CUDA_VISIBLE_DEVICES: "1" },
      }, { signal });
      const state = await ended(head!, "1-t");
      assertEquals([state.claimed, state.alive, state.exitCode], [true, false, 3]);
      const output = () => head!.readOutput("1-t", "run", { offset: 0, limit: 1000, signal }).then(text);
      assertEquals(await output(), `${head!.home}/sky_workdir\nit's me 1 none\n`);
      // A start that is repeated starts nothing.
      await head!.startJob({ ...start, script: "echo again" }, { signal });
      assertEquals(await output(), `${head!.home}/sky_workdir\nit's me 1 none\n`);

      // One more on the other node, ended by us.
      await worker!.startJob({ ...start, script: "trap '' TERM; echo up; sleep 1000" }, { signal });
      const read = () => worker!.readOutput("1-t", "run", { offset: 0, limit: 9, signal });
      await until(async () => (await read()).length > 0, "output");
      for (let i = 0; i < 3; i++) {
        assertEquals((await worker!.jobState("1-t", "run", { signal })).alive, true);
      }
      await worker!.killJob("1-t", "run", { graceMs: 100, signal });
      const killed = await worker!.jobState("1-t", "run", { signal });
      assertEquals([killed.alive, killed.exitCode], [false, null]);
      assertEquals((await machines.inside("pgrep -fc '[s]leep 1000'")).trim(), "0");

      await slurm.terminate(handle, ctx);
      assertEquals(await states(handle, ctx), ["gone", "gone"]);
      await slurm.terminate(handle, ctx);
    }),
});

Deno.test({
  ...real("files go to a node and back"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const handle = await slurm.provision(spec("f-1"), ctx);
      const [head] = slurm.runners(handle, ctx);
      const source = await Deno.makeTempDir();
      await Deno.writeTextFile(join(source, "x y"), "up");
      await head!.upload(source, "~/sky_workdir", { signal });
      const elsewhere = `/tmp/sky-slurm-${crypto.randomUUID()}`;
      await head!.upload(source, elsewhere, { signal });
      const script = `cat "x y" "${elsewhere}/x y"; rm -r ${elsewhere}`;
      await head!.startJob({ ...start, script }, { signal });
      await ended(head!, "1-t");
      await head!.download("~/sky_logs/1-t", join(source, "logs"), { signal });
      assertEquals(await Deno.readTextFile(join(source, "logs/tasks/run.log")), "upup");
      assertEquals(await machines.inside(`ls -d ${elsewhere} 2>/dev/null`), "");
      await slurm.terminate(handle, ctx);
      await Deno.remove(source, { recursive: true });
    }),
});

Deno.test({
  ...real("provision finds what a lost reply left, also twice, and refuses a leaked one"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const [one, two] = await Promise.all([
        slurm.provision(spec("p-1"), ctx),
        slurm.provision(spec("p-1"), ctx),
      ]);
      assertEquals(one, two);
      assertEquals(await slurm.provision(spec("p-1", { previous: one }), ctx), one);
      assertEquals((await machines.run("squeue", "-h", "-o", "%j")).trim(), "p-1");
      const error = await assertRejects(() => slurm.provision(spec("p-1", { numNodes: 2 }), ctx), SkyError);
      assertMatch(error.message, /is named p-1, but has 1 nodes, not 2: a leaked allocation/);
      // What was only prepared is found, and taken down, by its name.
      await slurm.terminate(slurm.prepare(spec("p-1")), ctx);
      assertEquals(await states(one, ctx), ["gone"]);
      // The next one of the name begins with an empty home.
      const again = await slurm.provision(spec("p-1"), ctx);
      const [runner] = slurm.runners(again, ctx);
      await runner!.startJob({ ...start, script: "echo mine" }, { signal });
      assertEquals((await ended(runner!, "1-t")).exitCode, 0);
      await machines.run("scancel", "--name=p-1");
      await until(async () => (await states(again, ctx))[0] === "gone", "the end");
      const third = await slurm.provision(spec("p-1"), ctx);
      const [fresh] = slurm.runners(third, ctx);
      assertEquals((await fresh!.jobState("1-t", "run", { signal })).claimed, false);
      await slurm.terminate(third, ctx);
    }),
});

Deno.test({
  ...real("provision waits and says for what, gives up in time, and at once when it is hopeless"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines, statuses, lines, withConfig }) => {
      await occupy(machines, 3);
      await until(async () => (await machines.run("squeue", "-h", "-t", "RUNNING")) !== "", "a busy cluster");
      const impatient = withConfig({
        slurm: { provision_timeout: 3, sbatch_options: { nodes: 7, comment: "a 'b' $(c)", exclusive: null } },
      });
      const late = await assertRejects(() => slurm.provision(spec("w-1"), impatient), SkyError);
      assertEquals(late.code, "resources_unavailable");
      const waited = /job \d+ did not start: it was still pending: \w+, 2 others ahead after 3 seconds/;
      assertMatch(late.message, waited);
      const shown = /Launching \(pending: (Resources|Priority), 2 others ahead\)/;
      assert(statuses.some((status) => shown.test(status)), statuses.join("\n"));
      assertEquals(lines, ['Warning: sbatch option "nodes" is left out: sky sets it']);
      assertEquals((await machines.run("squeue", "-h", "-t", "PENDING,RUNNING", "--name=w-1")).trim(), "");

      const short = { ...RESOURCES, zone: "short" };
      const long = withConfig({ slurm: { sbatch_options: { time: "2:00:00" } } });
      const hopeless = await assertRejects(
        () => slurm.provision(spec("w-2", { resources: short }), long),
        SkyError,
      );
      assertMatch(hopeless.message, /did not start: PartitionTimeLimit: the partition allows less time/);
      const huge = { ...RESOURCES, memory: 4000 };
      const refused = await assertRejects(
        () => slurm.provision(spec("w-3", { resources: huge }), ctx),
        SkyError,
      );
      assertEquals(refused.code, "resources_unavailable");
      assertMatch(
        refused.message,
        /Cannot launch cluster 'w-3' on Slurm cluster 't', partition 'main': .*not available/,
      );
      await release(machines);
      for (const name of ["w-1", "w-2", "w-3"]) await slurm.terminate(slurm.prepare(spec(name)), ctx);
    }),
});

Deno.test({
  ...real("a pending allocation is cancelled with its launch"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines, statuses }) => {
      await occupy(machines);
      const life = new AbortController();
      const launch = slurm.provision(spec("c-1"), { ...ctx, signal: life.signal });
      await until(() => statuses.length > 0, "a status");
      life.abort(new SkyError("request_cancelled", "enough"));
      assertEquals((await assertRejects(() => launch, SkyError)).code, "request_cancelled");
      const prepared = slurm.prepare(spec("c-1"));
      assertEquals(await states(prepared, ctx), ["unknown"]);
      await slurm.terminate(prepared, ctx);
      assertEquals(await states(prepared, ctx), ["gone"]);
      await release(machines);
    }),
});

Deno.test({
  ...real("inspect tells how an allocation ended"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const low = { ...RESOURCES, zone: "low" };
      const preempted = await slurm.provision(spec("e-2", { numNodes: 2, resources: low }), ctx);
      await occupy(machines);
      await until(async () => (await told(preempted, ctx)).startsWith("gone"), "the preemption");
      assertMatch(await told(preempted, ctx), /it was preempted \(PREEMPTED\)/);
      await release(machines);
      await slurm.terminate(preempted, ctx);

      const failed = await slurm.provision(spec("e-3", { numNodes: 2 }), ctx);
      await machines.run("scontrol", "update", "node=n2", "state=drain", "reason=x");
      assertEquals(await told(failed, ctx), "up: null");
      await machines.run("scontrol", "update", "node=n2", "state=down", "reason=x");
      await until(async () => (await told(failed, ctx)).startsWith("gone"), "the failure");
      assertMatch(await told(failed, ctx), /a node failed \(NODE_FAIL\)/);
      const [runner] = slurm.runners(failed, ctx);
      const lost = await assertRejects(() => runner!.run(["true"], { signal }), SkyError);
      assertEquals(lost.code, "network");
      // With the allocation everything on its nodes has ended.
      await runner!.killJob("1-t", "run", { graceMs: 0, signal });
      assertEquals(await slurm.abandon!(failed, ctx), null);
      await machines.run("scontrol", "update", "node=n2", "state=resume");
    }, { extra: "PreemptType=preempt/partition_prio\nPreemptMode=CANCEL" }),
});

Deno.test({
  ...real("inspect calls nothing gone because nobody answers"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines, home }) => {
      const handle = await slurm.provision(spec("u-1"), ctx);
      const none = join(home, "none.conf");
      const config = await Deno.readTextFile(join(machines.folder, "slurm.conf"));
      await Deno.writeTextFile(
        none,
        config.replace(/^SlurmctldPort=.*$/m, "SlurmctldPort=1\nMessageTimeout=2"),
      );
      const lost = { ...ctx, env: (name: string) => name === "SLURM_CONF" ? none : ctx.env!(name) };
      const [node] = await slurm.inspect(handle, lost);
      assertEquals(node!.state, "unknown");
      assertMatch(node!.reason!, /Slurm cluster 't' does not answer/);
      assertMatch((await slurm.abandon!(handle, lost))!, /may still run on Slurm cluster 't': scancel \d+/);
      // A controller that hangs, and one that is back.
      await machines.inside("pkill -STOP -x slurmctld");
      const impatient = { ...ctx, signal: AbortSignal.timeout(1_000) };
      await assertRejects(() => slurm.inspect(handle, impatient), Error);
      await machines.inside("pkill -CONT -x slurmctld");
      assertEquals(await states(handle, ctx), ["up"]);
      await slurm.terminate(handle, ctx);
    }),
});

Deno.test({
  ...real("check, offers and GPUs tell what is there"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines, withConfig }) => {
      const { enabled, places, reason } = await slurm.check(ctx);
      assertEquals([enabled, places, reason], [true, [{ name: "t", ok: true, reason: null }], null]);
      const wish = newResources({ cpus: "1", memory: "1", accelerators: { H100: 1 } });
      const found = await slurm.offers(wish, 1, ctx) as readonly Offer[];
      assertEquals(found.map(({ resources }) => [resources.zone, resources.instanceType]), [
        ["main", "1CPU--1GB--H100:1"],
        ["short", "1CPU--1GB--H100:1"],
        ["low", "1CPU--1GB--H100:1"],
      ]);
      await machines.run(
        "sbatch",
        "--gres=gpu:h100:3",
        "--job-name=other",
        "-o/dev/null",
        "--wrap=sleep 1000",
      );
      await until(async () => (await slurm.gpus!(ctx))[0]!.free === 5, "a busy GPU");
      assertEquals(await slurm.gpus!(ctx), [{ place: "t", gpu: "H100", perNode: [4], total: 8, free: 5 }]);
      await machines.run("scontrol", "update", "node=n2", "state=drain", "reason=x");
      assertEquals((await slurm.gpus!(ctx))[0]!.free, 1);
      const nodes = await slurm.nodes!(ctx);
      assertEquals(nodes.map(({ name, gpusFree, ready }) => [name, gpusFree, ready]), [
        ["n1", 1, true],
        ["n2", 4, false],
      ]);
      const none = await slurm.check(withConfig({ slurm: { allowed_clusters: ["x"] } }));
      assertEquals([none.enabled, none.reason], [false, "The config allows none of the Slurm clusters."]);
      await release(machines);
    }),
});

Deno.test({
  ...real("provision says what is wrong with a folder that is not shared, and with a node's own"),
  fn: () =>
    withCloud(async ({ slurm: machines, home, withConfig }) => {
      const apart = join(home, "apart");
      await Deno.mkdir(apart);
      await machines.inside(`mount -t tmpfs none '${apart}'`);
      const unshared = withConfig({ slurm: { cluster_configs: { t: { workdir: apart } } } });
      const failed = await assertRejects(() => slurm.provision(spec("s-1"), unshared), SkyError);
      assertMatch(failed.message, /did not start: it failed \(FAILED\)/);
      assertMatch(failed.hint!, /must be on a file system that all nodes share/);
      await machines.inside(`mkdir '${apart}/.sky_provision'`);
      const error = await assertRejects(() => slurm.provision(spec("s-1"), unshared), SkyError);
      assertEquals(error.code, "invalid_config");
      assertMatch(error.message, /n1 does not see what the login node writes there/);
      assertMatch(error.hint!, /slurm\.cluster_configs\.t\.workdir/);
      await slurm.terminate(slurm.prepare(spec("s-1")), unshared);

      const nowhere = withConfig({ slurm: { cluster_configs: { t: { tmpdir: "/nowhere at all" } } } });
      const second = await assertRejects(() => slurm.provision(spec("s-2"), nowhere), SkyError);
      assertMatch(second.message, /'s-2'.*(did not start: it failed|cannot create directory)/);
      await slurm.terminate(slurm.prepare(spec("s-2")), nowhere);

      const relative = withConfig({ slurm: { cluster_configs: { t: { workdir: "not/absolute" } } } });
      const third = await assertRejects(() => slurm.provision(spec("s-3"), relative), SkyError);
      assertMatch(third.message, /Cannot use 'not\/absolute' on Slurm cluster 't': it is no absolute path/);
    }),
});

Deno.test({
  ...real("a node that falls silent is unknown until Slurm has given it up"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const handle = await slurm.provision(spec("n-1", { numNodes: 2 }), ctx);
      const pid = (await Deno.readTextFile(join(machines.folder, "slurmd-n2.inner"))).trim();
      await machines.inside(`kill -9 ${pid}`);
      const seen = new Set<string>();
      await until(
        async () => {
          const [head, worker] = await slurm.inspect(handle, ctx);
          seen.add(`${head!.state} ${worker!.state}`);
          return worker!.state === "gone";
        },
        "the node to be given up",
        90_000,
      );
      // Never gone before Slurm said that the job is over, and the other node was up meanwhile.
      assert(seen.has("up unknown"), [...seen].join(", "));
      assert(!seen.has("up gone"), [...seen].join(", "));
      await slurm.terminate(handle, ctx);
    }),
});

Deno.test({
  ...real("jobs run on while the controller is away, and are found when it is back"),
  fn: () =>
    withCloud(async ({ ctx, slurm: machines }) => {
      const handle = await slurm.provision(spec("k-1"), ctx);
      const [runner] = slurm.runners(handle, ctx);
      await runner!.startJob({ ...start, script: "sleep 8; exit 4" }, { signal });
      await machines.inside("pkill -KILL -x slurmctld");
      const lost = await slurm.inspect(handle, { ...ctx, signal: AbortSignal.timeout(30_000) })
        .then(([node]) => node!.state, () => "unknown");
      assertEquals(lost, "unknown");
      // Files are looked at without Slurm; whether a job lives can't be told meanwhile.
      await until(
        async () => {
          const state = await runner!.jobState("1-t", "run", { signal }).catch((error) => {
            if (error instanceof SkyError && error.code === "network") return null;
            throw error;
          });
          return state?.exitCode === 4;
        },
        "the exit code",
        60_000,
      );
      await machines.inside(
        `setsid slurmctld -D -f ${machines.folder}/slurm.conf >/dev/null 2>&1 </dev/null &`,
      );
      await until(async () => (await states(handle, ctx))[0] === "up", "the controller to be back", 60_000);
      await runner!.startJob({ ...start, logDir: "2-t", script: "exit 5" }, { signal });
      assertEquals((await ended(runner!, "2-t")).exitCode, 5);
      await slurm.terminate(handle, ctx);
    }),
});
