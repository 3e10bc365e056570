/** Ctrl+C in SkyPilot's own client leaves our request running; another command follows and cancels it. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { officialBin, OfficialSky, VERSIONS } from "../support/official.ts";
import { OfficialClient, startedClient } from "../support/official_client.ts";
import { finish, TestSky, until } from "../support/sky.ts";

/** Reads until the text shows, sends SIGINT, and reads to the end. */
async function interrupted(child: Deno.ChildProcess, text: string): Promise<{ code: number; seen: string }> {
  let seen = "";
  let sent = false;
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair)) {
      seen += chunk;
      if (sent || !seen.includes(text)) continue;
      sent = true;
      Deno.kill(child.pid, "SIGINT");
    }
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  const { code } = await child.status;
  return { code, seen };
}

for (const version of VERSIONS) {
  const bin = await officialBin(version);

  Deno.test({
    name: `Ctrl+C in SkyPilot ${version} leaves the request and the job running`,
    ignore: bin === null,
    async fn(t) {
      await using server = await TestSky.make();
      const client = await startedClient(server);
      await using sky = await OfficialSky.make(bin!, client.url);

      await t.step("in a job's log", async () => {
        const run = "for i in $(seq 1000); do echo tick $i; sleep 0.2; done";
        const { seen } = await interrupted(sky.spawn(["launch", "-y", "-c", "one", run]), "tick 3");
        assertStringIncludes(seen, "Job submitted, ID: 1");
        const queue = await sky.text("queue one");
        assertMatch(queue, /^1 +sky-cmd .* RUNNING /m);
        const again = await interrupted(sky.spawn(["logs", "one", "1"]), "tick 5");
        assertStringIncludes(again.seen, "tick 1");
        assertMatch(await sky.text("queue one"), /^1 +sky-cmd .* RUNNING /m);
        await sky.text("cancel -y one 1");
      });

      await t.step("in a request's log", async () => {
        // An exec waits for the cluster while a held launch of the same has it.
        await server.ok(["api", "stop"]);
        await server.ok(["api", "start"], { env: { SKY_FAILPOINT: "hold:sky.launch" } });
        const { url } = (await server.registration())!;
        const env = { SKYPILOT_API_SERVER_ENDPOINT: url };
        const requests = new OfficialClient(url);
        const launch = sky.spawn(["launch", "-y", "-c", "one", "echo more"], { env });
        const ended = finish(launch, ["launch"], 120_000);
        let id = "";
        await until(async () => {
          const [first] = [...await requests.states()];
          id = first?.[1] === "RUNNING" ? first[0] : "";
          return id !== "";
        }, { what: "the launch to run", timeoutMs: 60_000 });
        await delay(1000); // its client is following by then, or on its way there: either may be interrupted
        Deno.kill(launch.pid, "SIGINT");
        const { code, stdout, stderr } = await ended;
        assert(code !== 0, String(code));
        assertStringIncludes(stdout + stderr, `sky api logs ${id.slice(0, 8)}`);
        assertEquals(await requests.state(id), "RUNNING");
        assertMatch(
          await sky.text("api status", { env }),
          new RegExp(`^${id} +alice +sky\\.launch .* RUNNING`, "m"),
        );

        const follow = sky.run(["api", "logs", id.slice(0, 8)], { env });
        const get = sky.run(["-c", `import sky; sky.get("${id}")`], { env, program: "python" });
        assertStringIncludes(await sky.text(`api cancel ${id.slice(0, 8)}`, { env }), id);
        const [followed, got] = [await follow, await get];
        assertStringIncludes(followed.stdout + followed.stderr, "cancelled");
        assertEquals(got.code, 1);
        assertStringIncludes(got.stderr, "sky.exceptions.RequestCancelled");

        // The same by a script.
        const told = await sky.steps(new URL("cancel.py", import.meta.url), { env });
        const value = (name: string) => told.get(name)?.value ?? told.get(name)?.message;
        const launched = value("launch");
        assertMatch(String(launched), /^[0-9a-f-]{36}$/);
        assertEquals([value("state"), value("api_cancel")], ["RUNNING", [launched]]);
        assertEquals([value("state when cancelled"), value("api_cancel again")], ["CANCELLED", []]);
        for (const name of ["get", "stream_and_get"]) {
          assertEquals(told.get(name)?.error, "sky.exceptions.RequestCancelled", name);
        }
      });
    },
  });
}
