/** Our `sky` against SkyPilot's own API server: every command that it can answer without a cloud (issue 4 §2). */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { operations } from "../../api/operations.ts";
import { isSkyError } from "../../core/errors.ts";
import { skyAt } from "../support/official_client.ts";
import { OFFICIAL_VERSION, officialBin, OfficialServer } from "../support/official_server.ts";
import { TestSky } from "../support/sky.ts";
import { MINIMAL } from "../support/minimal_input.ts";

const bin = await officialBin();

Deno.test({
  name: "our sky and the official server: commands",
  ignore: bin === null,
  async fn(t) {
    await using server = await OfficialServer.start(bin!);
    await using sky = await TestSky.make({ SKYPILOT_API_SERVER_ENDPOINT: server.url });
    const line = (text: string) => text.trimEnd().split("\n").at(-1);

    await t.step("api info tells who answers", async () => {
      const text = await sky.ok(["api", "info"]);
      assertStringIncludes(text, `Using SkyPilot API server and dashboard: ${server.url}`);
      assertStringIncludes(text, `version: ${OFFICIAL_VERSION}`);
      const info = JSON.parse(await sky.ok(["api", "info", "-o", "json"]));
      assertEquals([info.server.status, info.server.version], ["HEALTHY", OFFICIAL_VERSION]);
      assert(Number(info.server.api_version) > 53, "newer than what we claim: no reason to refuse");
    });

    await t.step("check shows the server's report", async () => {
      const { code, stdout } = await sky.run(["check"], { timeoutMs: 120_000 });
      assertEquals(code, 0);
      assertStringIncludes(stdout, "Checking credentials to enable infra for SkyPilot.");
      assertStringIncludes(stdout, "AWS: disabled");
      assertStringIncludes(stdout, "No infra to check/enabled.");
    });

    await t.step("status shows that there is nothing, in each section", async () => {
      const { code, stdout } = await sky.run(["status"]);
      assertEquals(code, 0);
      for (
        const text of [
          "Enabled Infra:",
          "No existing clusters.",
          "No in-progress managed jobs.",
          "No live services.",
        ]
      ) assertStringIncludes(stdout, text);
      assert(!stdout.includes("Failed to query"), stdout);
      assertEquals(JSON.parse(await sky.ok(["status", "-o", "json"])), []);
      assertStringIncludes(await sky.ok(["status", "-r"]), "No existing clusters.");
      assertStringIncludes(await sky.ok(["status", "missing"]), "Cluster 'missing' not found.");
    });

    await t.step("launch, without a cloud there, ends with the server's words", async () => {
      for (const words of [["echo", "hi"], ["--infra", "aws", "echo", "hi"]]) {
        const { code, stdout, stderr } = await sky.run(["launch", "-y", "-c", "c1", ...words]);
        assertEquals(code, 1);
        assertStringIncludes(stdout, "Running on cluster: c1");
        assertEquals(
          line(stderr),
          "sky.exceptions.NoCloudAccessError: Cloud access is not set up. Run: sky check",
        );
      }
    });

    await t.step("launch with a workdir and file mounts uploads them", async () => {
      await Deno.writeTextFile(`${sky.work}/data.txt`, "data");
      await Deno.writeTextFile(
        `${sky.work}/task.yaml`,
        "workdir: .\nfile_mounts:\n  /tmp/data.txt: data.txt\nrun: cat /tmp/data.txt\n",
      );
      const { code, stderr } = await sky.run(["launch", "-y", "-c", "c1", "task.yaml"]);
      assertEquals(code, 1);
      assertStringIncludes(line(stderr)!, "sky.exceptions.NoCloudAccessError:");
    });

    await t.step(
      "launch --async, then its log, its record and its cancellation by a prefix of its id",
      async () => {
        const text = await sky.ok(["launch", "--async", "-y", "-c", "c2", "echo", "hi"]);
        const id = /Submitted sky\.launch request: ([0-9a-f-]{36})/.exec(text)?.[1];
        assert(id !== undefined, text);
        const { code, stderr } = await sky.run(["api", "logs", id.slice(0, 8)]);
        assertEquals(code, 1);
        assertStringIncludes(line(stderr)!, "sky.exceptions.NoCloudAccessError:");
        const status = await sky.ok(["api", "status", id.slice(0, 8)]);
        assert(new RegExp(`${id} .*sky\\.launch .*FAILED`).test(status), status);
        assertStringIncludes(await sky.ok(["api", "status", "-a"]), id);
        const cancelled = await sky.ok(["api", "cancel", id.slice(0, 8), "-y"]);
        assertStringIncludes(cancelled, "No requests need to be cancelled.");
      },
    );

    await t.step("an unknown request is told of as such", async () => {
      const { code, stderr } = await sky.run(["api", "logs", "deadbeef"]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, "Request 'deadbeef' not found");
    });

    await t.step("commands on a missing cluster say so", async () => {
      const missing = "Cluster 'missing' does not exist.";
      const queue = await sky.run(["queue", "missing"]);
      assertEquals(queue.code, 0);
      assertStringIncludes(queue.stdout, `sky.exceptions.ClusterDoesNotExist: ${missing}`);
      for (const words of [["logs", "missing"], ["logs", "missing", "1"], ["exec", "missing", "true"]]) {
        const { code, stderr } = await sky.run(words);
        assertEquals(
          [code, line(stderr)],
          [1, `sky.exceptions.ClusterDoesNotExist: ${missing}`],
          words.join(" "),
        );
      }
      const status = await sky.run(["logs", "missing", "--status"]);
      assert(status.code !== 0, status.stdout);
      const cancel = await sky.run(["cancel", "-y", "missing", "1"]);
      assertEquals([cancel.code, line(cancel.stderr)], [2, `Error: ${missing}`]);
      for (const verb of ["down", "stop", "autostop", "start"]) {
        const { code, stdout } = await sky.run([verb, "missing", "-y"]);
        assertEquals(code, 0);
        assertEquals(stdout.match(/Cluster\(s\) not found: missing\./g)?.length, 1, `${verb}: ${stdout}`);
      }
    });

    await t.step("gpus list shows its catalog, or why it has none", async () => {
      const { code, stdout, stderr } = await sky.run(["gpus", "list"], { timeoutMs: 180_000 });
      if (code === 0) assertStringIncludes(stdout, "H100");
      // Its catalogs are downloaded: where there is no network, that is the error.
      else assertStringIncludes(stderr, "sky.exceptions.CloudError: requests error (ConnectionError):");
    });

    await t.step("what is empty is empty", async () => {
      assertStringIncludes(await sky.ok(["jobs", "queue"]), "No in-progress managed jobs.");
      assertStringIncludes(await sky.ok(["serve", "status"]), "No live services.");
      assertStringIncludes(await sky.ok(["storage", "ls"]), "No existing storage.");
      assertStringIncludes(await sky.ok(["volumes", "ls"]), "No existing volumes.");
      assertStringIncludes(await sky.ok(["cost-report"]), "Total Cost: $0.00");
    });

    await t.step("api login keeps the endpoint, api logout forgets it", async () => {
      const env = { SKYPILOT_API_SERVER_ENDPOINT: "" };
      const text = await sky.ok(["api", "login", "-e", server.url], { env });
      assertStringIncludes(text, server.url);
      const config = await Deno.readTextFile(`${sky.home}/.sky/config.yaml`);
      assertStringIncludes(config, server.url);
      assertStringIncludes(await sky.ok(["api", "info"], { env }), `version: ${OFFICIAL_VERSION}`);
      assertStringIncludes(await sky.ok(["status"], { env }), "No existing clusters.");
      await sky.ok(["api", "logout"], { env });
      assert(!(await Deno.readTextFile(`${sky.home}/.sky/config.yaml`)).includes(server.url));
    });

    await t.step("every operation of the table is one that the server knows", async (t) => {
      using client = skyAt(server.url);
      for (const [key, input] of Object.entries(MINIMAL)) {
        const operation = operations[key as keyof typeof operations];
        if (operation.kind === "streaming") continue;
        await t.step(operation.path, async () => {
          // A path or a body that it does not know would be refused here, before there is a request.
          const id = await client.submit(key as "status", input as { cluster_names: null });
          // Without clusters and clouds many of them fail; then as requests, with an error that we can read.
          const error = await client.get(id).then(() => null, (error) => error);
          if (error === null) return;
          assert(isSkyError(error), String(error));
          assert(error.message !== "" && !error.message.startsWith("Unknown server error"), error.message);
        });
      }
    });
  },
});
