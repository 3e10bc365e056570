/**
 * SkyPilot's own client with our server at the endpoint that is local to it, 127.0.0.1:46580: it uploads nothing, and
 * finds and stops the server by its process. Runs in a network namespace, where that port is free.
 */
import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { officialBin, OfficialSky, say, VERSIONS } from "../support/official.ts";
import { TestSky } from "../support/sky.ts";

const TASK = "workdir: ./project\nresources:\n  cpus: 0.1+\nrun: cat file.txt\n";

/** Each command is announced, so that the output can be told apart. */
const SCRIPT = `
ip link set lo up
export SKYPILOT_USER=alice SKYPILOT_DISABLE_USAGE_COLLECTION=1 COLUMNS=200
told() { echo "=== $*"; "$@" 2>&1; echo "exit $?"; }
ours=$1
bin=$2
"$ours" api start
told "$bin/sky" api info
told "$bin/sky" api status
told "$bin/sky" launch -y -c one task.yaml
told "$bin/sky" logs one --sync-down
told "$bin/sky" api logout
told "$bin/sky" down -y one
told "$bin/sky" api stop
told "$ours" api stop
`;

async function whyNoNamespace(): Promise<string | null> {
  try {
    const { success } = await new Deno.Command("unshare", { args: ["-rn", "ip", "link", "set", "lo", "up"] })
      .output();
    return success ? null : "no network namespaces here";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no unshare(1) here";
    throw error;
  }
}

const obstacle = await whyNoNamespace();
if (obstacle !== null) await say(`SKIPPED: the official client at a local endpoint: ${obstacle}`);

for (const version of VERSIONS) {
  const bin = await officialBin(version);

  Deno.test({
    name: `SkyPilot ${version} takes our server for its local one`,
    ignore: bin === null || obstacle !== null,
    async fn() {
      await using server = await TestSky.make({ SKY_PORT: "46580" });
      await using sky = await OfficialSky.make(bin!, null);
      await Deno.mkdir(join(server.work, "project"));
      await Deno.writeTextFile(join(server.work, "project", "file.txt"), "read where it is\n");
      await Deno.writeTextFile(join(server.work, "task.yaml"), TASK);
      const ours = join(server.home, "ours");
      const words = server.program.map((word) => `'${word}'`).join(" ");
      await Deno.writeTextFile(ours, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
      const { stdout, stderr } = await new Deno.Command("unshare", {
        args: ["-rn", "sh", "-c", SCRIPT, "sh", ours, bin!],
        clearEnv: true,
        env: { ...sky.env, ...server.env, PATH: `${sky.env.PATH}:${server.env.PATH}` },
        cwd: server.work,
      }).output();
      const decoder = new TextDecoder();
      const parts = decoder.decode(stdout).split("=== ").slice(1);
      const shown = (command: string, exit: number) => {
        const part = parts.find((text) => text.split("\n")[0]!.endsWith(command));
        assert(part !== undefined, `no '${command}' in ${parts}\n${decoder.decode(stderr)}`);
        assertMatch(part, new RegExp(`exit ${exit}\\n$`), part);
        return part;
      };
      assertStringIncludes(shown("sky api info", 0), "Endpoint set to default local API server.");
      assertMatch(shown("sky api status", 0), /ID +User +Name/);
      const launched = shown("sky launch -y -c one task.yaml", 0);
      assertStringIncludes(launched, "read where it is");
      assert(!launched.includes("Files uploaded"), launched);
      assertStringIncludes(shown("sky logs one --sync-down", 0), "Job 1 logs: ~/sky_logs/one/1");
      assertStringIncludes(shown("sky api logout", 1), "Local api server cannot be logged out.");
      assertStringIncludes(shown("sky down -y one", 0), "Terminating cluster one...done");
      assertStringIncludes(shown(`${bin}/sky api stop`, 0), "SkyPilot API server stopped.");
      // The oldest does not wait for the end.
      assertMatch(shown(`${ours} api stop`, 0), /server (?:is not running|stopped)/);
    },
  });
}
