/**
 * SkyPilot's own `sky`, unpatched, against our server at a remote endpoint: every command of issue 4, its text and exit
 * code. Each release has a file of its own, so that they run side by side.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { NEWEST, officialBin, OfficialSky } from "../support/official.ts";
import { startedClient } from "../support/official_client.ts";
import { TestSky } from "../support/sky.ts";

const TASK = `
name: demo
resources:
  cpus: 0.1+
  ports: 8080
workdir: ./project
file_mounts:
  ~/token.txt: ./token.txt
envs:
  A: "1"
secrets:
  S: null
setup: echo setting up
run: |
  cat file.txt ~/token.txt
  echo A=$A S=$S
`;

async function writeTask(work: string): Promise<void> {
  await Deno.mkdir(join(work, "project"));
  await Deno.writeTextFile(join(work, "project", "file.txt"), "from the workdir\n");
  await Deno.writeTextFile(join(work, "token.txt"), "from a mount\n");
  await Deno.writeTextFile(join(work, "task.yaml"), TASK);
}

/** Each of `parts`, text or pattern, is in it. */
function assertShows(text: string, ...parts: (string | RegExp)[]): void {
  for (const part of parts) {
    if (typeof part === "string") assertStringIncludes(text, part);
    else assertMatch(text, part);
  }
}

/** The test of one release. */
export async function testCommands(version: string): Promise<void> {
  const bin = await officialBin(version);
  const newest = version === NEWEST;

  Deno.test({
    name: `sky of SkyPilot ${version} works against our server`,
    ignore: bin === null,
    async fn(t) {
      await using server = await TestSky.make();
      const { url } = await startedClient(server);
      await using sky = await OfficialSky.make(bin!, url);
      await writeTask(sky.work);

      await t.step("what there is before anything is there", async () => {
        assertShows(await sky.text("api info"), `server and dashboard: ${url}`, "HEALTHY", "User: alice");
        assertMatch(await sky.text("api status"), /^ID +User +Name +Created +Status/);
        assertShows(await sky.text("check"), "Local: enabled [compute]", "Enabled infra");
        assertShows(
          await sky.text("status"),
          "Enabled Infra: ssh/local",
          "No existing clusters.",
          "No in-progress managed jobs.",
          "No existing services.",
        );
        assertShows(await sky.text("jobs queue"), "No in-progress managed jobs.");
        assertShows(await sky.text("serve status"), "No existing services.");
        assertShows(await sky.text("storage ls"), "No existing storage.");
        assertShows(await sky.text("volumes ls"), "No existing volumes.");
        assertShows(await sky.text("cost-report"), "Total Cost: $0.00");
        await sky.text(newest ? "gpus list" : "show-gpus");
      });

      await t.step("launch of a YAML: files arrive, the log is followed", async () => {
        assertShows(
          await sky.text("launch -y -c one --env A=2 --secret S=hidden task.yaml"),
          "Files uploaded",
          "Cluster launched: one.",
          "Job submitted, ID: 1",
          "setting up",
          "from the workdir",
          "from a mount",
          "A=2 S=hidden",
          "Job finished (status: SUCCEEDED).",
        );
      });

      await t.step("exec, and its exit code", async () => {
        assertShows(
          await sky.text("exec one 'echo inline $SKYPILOT_NODE_RANK'"),
          "Job submitted, ID: 2",
          "inline 0",
        );
        assertShows(
          await sky.text("exec one 'exit 7'", { code: 100 }),
          "Job 3 failed with return code list:",
        );
        assertShows(await sky.text("exec -d one 'sleep 300'"), "Job submitted, ID: 4");
      });

      await t.step("status in its forms", async () => {
        const row = /^one +SSH \(local\) +1x\(cpus=0\.1, mem=\S+, \.\.\.\) +UP +- /m;
        assertShows(await sky.text("status"), row);
        assertShows(await sky.text("status -r"), row);
        assertShows(await sky.text("status -v one"), /^one +default +SSH \(local\) .* 127\.\S+ /m);
        const ip = (await sky.text("status --ip one")).trim();
        assertMatch(ip, /^127\.\d+\.\d+\.\d+$/);
        assertShows(await sky.text("status --endpoints one"), `8080: http://${ip}:8080`);
        assertEquals((await sky.text("status --endpoint 8080 one")).trim(), `http://${ip}:8080`);
        if (newest) {
          const [cluster] = JSON.parse((await sky.run(["status", "-o", "json"])).stdout);
          assertEquals([cluster.name, cluster.status, cluster.user_name], ["one", "UP", "alice"]);
        }
      });

      await t.step("queue, logs and cancel", async () => {
        assertShows(
          await sky.text("queue one"),
          /^4 +sky-cmd +alice .* RUNNING /m,
          /^3 +sky-cmd +alice .* FAILED /m,
          /^1 +demo +alice .* SUCCEEDED /m,
        );
        assertShows(await sky.text("cancel -y one 4"), /Cancelling jobs \(4\) on cluster 'one'/);
        assertShows(await sky.text("logs one 4 --status", { code: 103 }), "Job 4: CANCELLED");
        assertShows(await sky.text("logs one 1"), "setting up", "A=2 S=hidden");
        assertShows(await sky.text("logs one 1 --no-follow"), "A=2 S=hidden");
        const tail = await sky.text("logs one 1 --tail 1");
        assertShows(tail, "Job finished (status: SUCCEEDED).");
        assert(!tail.includes("from the workdir"), tail);
        assertShows(await sky.text("logs one 1 --status"), "Job 1: SUCCEEDED");
        assertShows(await sky.text("logs one 99", { code: 102 }), "Job 99 not found");
        assertShows(await sky.text("logs one 1 --sync-down"), "Job 1 logs: ~/sky_logs/one/1-demo");
        assertShows(
          await Deno.readTextFile(join(sky.home, "sky_logs", "one", "1-demo", "run.log")),
          "from the workdir",
        );
        assertShows(await sky.text("logs --provision one"), "Cluster launched: one.");
      });

      await t.step("autostop, stop, start", async () => {
        assertShows(await sky.text("autostop -y -i 30 one"), "autostopped after 30 minutes");
        assertShows(await sky.text("status one"), / UP +30m +/);
        assertShows(
          await sky.text("autostop -y --cancel one"),
          "Cancelling auto{stop,down} on cluster 'one'",
        );
        assertShows(await sky.text("stop -y one"), "Stopping cluster one...done");
        assertShows(await sky.text("status one"), /^one .* STOPPED /m);
        assertShows(
          await sky.text("queue one"),
          "Failed to get the job queue for cluster 'one'",
          "ClusterNotUpError",
        );
        assertShows(await sky.text("exec one x", { code: 1 }), "sky.exceptions.ClusterNotUpError:");
        assertShows(await sky.text("start -y one"), "Cluster one started.");
        assertShows(await sky.text("queue one"), /^1 +demo .* SUCCEEDED /m);
        assertShows(await sky.text("cost-report"), /^one .* UP +\$ 0\.00 /m);
      });

      await t.step("--async, and its request", async () => {
        const sent = await sky.text("launch -y --async -c two --infra ssh/local 'echo later'");
        const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(sent)?.[0] ?? "";
        assertShows(await sky.text(`api logs ${id.slice(0, 8)}`), "Cluster launched: two.");
        assertShows(
          await sky.text(`api status -a ${id}`),
          new RegExp(`^${id} +alice +sky\\.launch .* SUCCEEDED`, "m"),
        );
        assertShows(await sky.text(`api cancel ${id}`), "No requests need to be cancelled.");
        assertShows(await sky.text("launch -y --dryrun -c three x"), "Dryrun finished.");
      });

      await t.step("errors say what they are", async () => {
        const failing: [line: string, text: string][] = [
          ["exec never x", "sky.exceptions.ClusterDoesNotExist: Cluster 'never' does not exist."],
          ["logs never", "sky.exceptions.ClusterDoesNotExist: Cluster 'never' does not exist."],
          ["launch -y -c 1st x", 'sky.exceptions.InvalidClusterNameError: Cluster name "1st" is invalid'],
          ["launch -y -c one --gpus H100:8 x", "sky.exceptions.ResourcesMismatchError: Requested resources"],
          ["launch -y -c four --gpus H100:8 x", "sky.exceptions.ResourcesUnavailableError: "],
          ["launch -y -c four --infra aws x", "sky.exceptions.ResourcesUnavailableError: "],
          ["status --endpoint 80 one", "ValueError: Port 80 is not exposed on cluster 'one'."],
          ["status --ip never", "ValueError: 'never' cluster not found."],
          ["api logs nothing", "Failed to stream logs: Request 'nothing' not found"],
          ["jobs launch -y x", "sky.exceptions.NotSupportedError: 'sky.jobs.launch' is not supported"],
          ["jobs cancel -y 1", "sky.exceptions.NotSupportedError: 'sky.jobs.cancel' is not supported"],
          ["jobs logs 1", "sky.exceptions.NotSupportedError: 'sky.jobs.logs' is not supported"],
          ["serve down -y x", "sky.exceptions.NotSupportedError: 'sky.serve.down' is not supported"],
        ];
        // A command of theirs takes seconds to start; what the oldest would say of the rest, its SDK's test shows.
        for (const [line, text] of newest ? failing : failing.slice(0, 6)) {
          assertStringIncludes(await sky.text(line, { code: 1 }), text, line);
        }
        const missing = ["down -y never", "stop -y never", "start -y never", "autostop -y -i 1 never"];
        for (const line of newest ? missing : []) {
          assertStringIncludes(await sky.text(line), "Cluster(s) not found", line);
        }
      });

      await t.step("down by a pattern", async () => {
        const text = await sky.text("down -y o* two");
        assertShows(text, "Terminating cluster one...done", "Terminating cluster two...done");
        assertShows(await sky.text("status"), "No existing clusters.");
      });
    },
  });
}
