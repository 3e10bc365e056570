/** SkyPilot's own Python SDK, sync and async, against our server: results and the exceptions people catch (issue 4). */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { officialBin, OfficialSky, type Step, VERSIONS } from "../support/official.ts";
import { startedClient } from "../support/official_client.ts";
import { TestSky } from "../support/sky.ts";

type Value = Record<string, unknown>;

/** The steps of a script, each asked for once. */
class Told {
  readonly #steps: Map<string, Step>;

  constructor(steps: Map<string, Step>) {
    this.#steps = steps;
  }

  value(name: string): unknown {
    const step = this.#take(name);
    if (step.error !== undefined) throw new Error(`${name}: ${step.error}: ${step.message}`);
    return step.value;
  }

  map(name: string): Value {
    return this.value(name) as Value;
  }

  list(name: string): Value[] {
    return this.value(name) as Value[];
  }

  raises(name: string, error: string, message: RegExp): Step {
    const step = this.#take(name);
    assertEquals([name, step.error ?? step.value], [name, error], step.message);
    assertMatch(step.message ?? "", message, name);
    return step;
  }

  /** Nothing was told that nobody asked for. */
  end(): void {
    assertEquals([...this.#steps.keys()], []);
  }

  #take(name: string): Step {
    const step = this.#steps.get(name);
    assert(step !== undefined, `no step '${name}' in ${[...this.#steps.keys()]}`);
    this.#steps.delete(name);
    return step;
  }
}

function assertHandle(value: unknown): void {
  const handle = value as Value;
  assertEquals(
    [handle["class"], handle["cluster_name"], handle["launched_nodes"], handle["infra"]],
    ["CloudVmRayResourceHandle", "one", 1, "ssh/local"],
  );
  assertMatch(String(handle["head_ip"]), /^127\./);
  assertMatch(String(handle["resources"]), /^SSH\(0\.1CPU--/);
}

function assertLaunched(value: unknown, jobId: number): void {
  const [id, handle] = value as [number, unknown];
  assertEquals(id, jobId);
  assertHandle(handle);
}

const exceptions = (name: string) => `sky.exceptions.${name}`;

for (const version of VERSIONS) {
  const bin = await officialBin(version);

  Deno.test({
    name: `the SDK of SkyPilot ${version} works against our server`,
    ignore: bin === null,
    async fn() {
      await using server = await TestSky.make();
      const { url } = await startedClient(server);
      await using sky = await OfficialSky.make(bin!, url);
      const told = new Told(await sky.steps(new URL("sdk.py", import.meta.url)));

      const id = told.value("launch") as string;
      const [launched, shown] = told.value("stream_and_get") as [unknown, string];
      assertLaunched(launched, 1);
      assertStringIncludes(shown, "Cluster launched: one.");
      assertLaunched(told.value("get"), 1);
      assertLaunched(told.value("get by prefix"), 1);
      const [code, log] = told.value("tail_logs") as [number, string];
      assertEquals(code, 0);
      assertMatch(log, /\(task, pid=\d+\)\S* hello sdk\n/);
      assertEquals((told.value("tail_logs as iterator") as string[]).join(""), log);
      const [cluster] = told.list("status");
      assertEquals([cluster!["name"], cluster!["status"], cluster!["user_name"]], ["one", "UP", "alice"]);
      assertHandle(cluster!["handle"]);
      assertLaunched(told.value("exec"), 2);
      assertEquals((told.value("tail_logs of a failed job") as unknown[])[0], 100);
      assertLaunched(told.value("long exec"), 3);
      assertEquals(told.value("tail_logs of a running job"), 0, "not followed: nothing was found wrong");
      assertEquals(told.value("cancel"), null);
      assertEquals(told.value("tail_logs of a cancelled job"), 103);
      assertEquals(told.value("tail_logs of no job"), 102);
      assertEquals(told.value("job_status"), { "1": "SUCCEEDED", "2": "FAILED", "3": "CANCELLED" });
      assertEquals(told.value("job_status of the last"), { "3": "CANCELLED" });
      assertEquals(told.list("queue").map((job) => [job["job_id"], job["status"], job["username"]]), [
        [3, "CANCELLED", "alice"],
        [2, "FAILED", "alice"],
        [1, "SUCCEEDED", "alice"],
      ]);
      const folder = String(told.map("download_logs")["1"]);
      assertStringIncludes(
        await Deno.readTextFile(`${folder.replace("~", sky.home)}/run.log`),
        "hello sdk",
      );
      assertEquals([told.value("autostop"), told.value("endpoints")], [null, {}]);
      const [cost] = told.list("cost_report");
      assertEquals([cost!["name"], cost!["status"], cost!["total_cost"]], ["one", "UP", 0]);
      assertMatch(String(cost!["resources"]), /^SSH\(0\.1CPU--/);
      assertEquals(told.value("enabled_clouds"), ["ssh/local"]);
      assertEquals(told.value("check"), { default: { Local: ["compute"] } });
      assertEquals(told.value("optimize"), null);
      assertEquals([told.value("list_accelerators"), told.value("list_accelerator_counts")], [{}, {}]);
      for (const name of ["storage_ls", "jobs.queue", "serve.status", "volumes.ls"]) {
        assertEquals([name, told.value(name)], [name, []]);
      }
      assertEquals(told.value("jobs.queue_v2"), [[], 0, {}, 0]);
      const names = told.value("api_status") as string[];
      assert(names.includes("sky.launch") && names.includes("sky.exec"), String(names));
      assertEquals(told.map("api_info")["status"], "healthy");
      assertEquals(told.value("api_cancel of a finished request"), []);

      told.raises("mismatch", exceptions("ResourcesMismatchError"), /do not match the existing cluster/);
      told.raises("unavailable", exceptions("ResourcesUnavailableError"), /satisfying the request/);
      told.raises("bad name", exceptions("InvalidClusterNameError"), /"1st" is invalid/);
      const failed = (step: string, message: RegExp) =>
        told.raises(step, exceptions("CommandError"), message).returncode;
      assertEquals(failed("failed sync", /Cannot mount at '\/dev\/null\/file'/), 1);
      assertEquals(failed("failed clone", /Cannot clone workdir file:\/\/\/nowhere/), 128);
      told.raises("managed job", exceptions("NotSupportedError"), /'sky\.jobs\.launch' is not supported/);
      assertEquals(told.value("stop"), null);
      const [stopped] = told.list("status when stopped");
      assertEquals([stopped!["status"], (stopped!["handle"] as Value)["head_ip"]], ["STOPPED", null]);
      for (const what of ["queue", "exec", "tail_logs"]) {
        told.raises(`${what} when stopped`, exceptions("ClusterNotUpError"), /status: STOPPED/);
      }
      assertHandle(told.value("start"));
      assertEquals(told.value("down"), null);
      for (
        const what of [
          "queue",
          "exec",
          "stop",
          "start",
          "down",
          "autostop",
          "cancel",
          "job_status",
          "tail_logs",
        ]
      ) {
        told.raises(
          `${what} of no cluster`,
          exceptions("ClusterDoesNotExist"),
          /Cluster 'never' does not exist/,
        );
      }
      told.raises("get of no request", "builtins.RuntimeError", /Request 'nothing' not found/);
      told.end();
      assertMatch(id, /^[0-9a-f-]{36}$/);
    },
  });

  Deno.test({
    name: `the async SDK of SkyPilot ${version} works against our server`,
    ignore: bin === null,
    async fn() {
      await using server = await TestSky.make();
      const { url } = await startedClient(server);
      await using sky = await OfficialSky.make(bin!, url);
      const told = new Told(await sky.steps(new URL("async_sdk.py", import.meta.url)));

      assertLaunched(told.value("launch"), 1);
      assertLaunched(told.value("exec"), 2);
      assertEquals(told.value("tail_logs"), 0);
      assertEquals(told.list("queue").map((job) => job["job_id"]), [2, 1]);
      assertEquals(told.value("job_status"), { "1": "SUCCEEDED" });
      assertMatch(String(told.map("download_logs")["1"]), /^~\/sky_logs\/one\/1-/);
      assertEquals(told.list("status").map((cluster) => cluster["status"]), ["UP"]);
      for (const name of ["cancel", "autostop"]) assertEquals([name, told.value(name)], [name, null]);
      assertEquals(told.value("endpoints"), {});
      assertEquals(told.list("cost_report").map((cost) => cost["name"]), ["one"]);
      assertEquals(told.value("enabled_clouds"), ["ssh/local"]);
      assertEquals(told.value("check"), { default: { Local: ["compute"] } });
      assertEquals([told.value("list_accelerators"), told.value("storage_ls")], [{}, []]);
      assertEquals(told.value("workspaces"), { default: {} });
      assertEquals([told.value("api_status"), told.value("api_cancel")], [[], []]);
      told.raises("mismatch", exceptions("ResourcesMismatchError"), /do not match the existing cluster/);
      told.raises("unavailable", exceptions("ResourcesUnavailableError"), /satisfying the request/);
      told.raises("bad name", exceptions("InvalidClusterNameError"), /"1st" is invalid/);
      told.raises(
        "unsupported",
        exceptions("NotSupportedError"),
        /'sky\.status_kubernetes' is not supported/,
      );
      assertEquals(told.value("stop"), null);
      told.raises("queue when stopped", exceptions("ClusterNotUpError"), /status: STOPPED/);
      assertHandle(told.value("start"));
      assertEquals(told.value("down"), null);
      for (const what of ["queue", "down"]) {
        told.raises(
          `${what} of no cluster`,
          exceptions("ClusterDoesNotExist"),
          /Cluster 'never' does not exist/,
        );
      }
      told.end();
    },
  });
}
