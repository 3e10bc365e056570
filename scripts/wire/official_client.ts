/** SkyPilot's own client talks to our server on infra local: the commands of issue 4 §1, and a script with its SDK. */
import { join } from "@std/path";
import { type Golden, Scrub, writeFiles } from "../../tests/support/golden.ts";
import { WIRE_USER } from "../../tests/support/golden_ours.ts";
import { OFFICIAL_VERSION, officialEnv } from "../../tests/support/official_server.ts";
import { finish, TestSky } from "../../tests/support/sky.ts";
import { converse, type Spoken } from "./conversation.ts";
import { Tap } from "./tap.ts";

const FILES = {
  "task.yaml":
    "workdir: data\nfile_mounts:\n  ~/two.txt: two.txt\nresources:\n  cpus: 0.1\nrun: cat one.txt ~/two.txt\n",
  "data/one.txt": "one\n",
  "two.txt": "two\n",
  // what no command asks
  "script.py": `
import io

import sky
from sky.client import sdk

print(sdk.get(sdk.job_status('g1', [1])))
print(sdk.get(sdk.endpoints('g1')))
print(sdk.download_logs('g1', ['1']))
print(sdk.get(sdk.enabled_clouds()))
print(sdk.get(sdk.list_accelerators(name_filter='H100')))
print(sdk.get(sdk.cluster_events('g1', None, 'STATUS_CHANGE')) if hasattr(sdk, 'cluster_events') else None)
out = io.StringIO()
print(sdk.tail_provision_logs('g1', follow=False, output_stream=out))
with sky.Dag() as dag:
    sky.Task(run='true')
print(sdk.get(sdk.optimize(dag)))
print([r.name for r in sdk.api_status(all_status=True)][:1])
`,
};

type Make = (last: string) => string[];
const typed = (text: string): Make => () => ["sky", ...text.split(" ")];
const withId = (text: string): Make => (last) => {
  const id = /request: ([0-9a-f]{8})/.exec(last)?.[1];
  if (id === undefined) throw new Error(`No request id in: ${last}`);
  return ["sky", ...text.split(" "), id];
};

const COMMANDS: readonly Make[] = [
  typed("api info"),
  typed("check"),
  typed("launch -y -c g1 task.yaml"),
  typed("exec g1 echo again"),
  typed("exec -d g1 sleep 300"),
  typed("queue g1"),
  typed("logs g1 1 --no-follow"),
  typed("logs g1 2"),
  typed("logs --status g1 1"),
  typed("logs --sync-down g1 1"),
  typed("status"),
  typed("status -v"),
  typed("status -r g1"),
  typed("status --ip g1"),
  typed("status --endpoints g1"),
  () => ["python", "script.py"],
  typed("cancel -y g1 3"),
  typed("autostop -y g1 -i 10"),
  typed("stop -y g1"),
  typed("start -y g1"),
  typed("cost-report"),
  typed("gpus list"),
  typed("jobs queue"),
  typed("serve status"),
  typed("storage ls"),
  typed("volumes ls"),
  typed("api status -a"),
  typed("launch --async -y -c g1 true"),
  withId("api logs"),
  // over by now, whatever the machine's speed
  withId("api cancel"),
  typed("down -y g1"),
  typed("queue missing"),
  typed("exec missing true"),
  typed("logs missing"),
  typed("launch -y -c g1 --infra aws true"),
  typed("launch -y -c g1 --gpus H100:8 true"),
  typed("launch -y -c 1bad true"),
];

export async function createOfficialRecord(bin: string): Promise<Golden> {
  await using sky = await TestSky.make();
  await sky.ok(["api", "start"]);
  const url = (await sky.registration())!.url;
  await using tap = new Tap(url);
  // The same everywhere: it is in the archives that the client uploads.
  const home = "/tmp/alice";
  await Deno.mkdir(home);
  const folder = join(home, "project");
  try {
    await writeFiles(folder, FILES);
    const words = {
      [tap.url]: "<server>",
      [url]: "<server>",
      [sky.home]: "<server-home>",
      [bin.replace(/\/bin$/, "")]: "<venv>",
      [Deno.hostname()]: "<host>",
    };
    const env = { ...officialEnv(home, bin), ...WIRE_USER, SKYPILOT_API_SERVER_ENDPOINT: tap.url };
    const scrub = new Scrub(words);
    const conversations = [];
    let last = "";
    for (const make of COMMANDS) {
      const command = make(last);
      const speak = async () => {
        const ran = await run(command, { bin, env, cwd: folder });
        if (ran.stdout.includes("request: ")) last = ran.stdout;
        await Deno.stderr.write(
          new TextEncoder().encode(`${command.join(" ")}: ${ran.code} ${ran.stderr}\n`),
        );
        return ran;
      };
      conversations.push(await converse(tap, scrub, { command, speak }));
    }
    conversations.push(await others(tap, scrub));
    return { client: `skypilot ${OFFICIAL_VERSION}`, server: "sky", files: FILES, conversations };
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function run(
  [program, ...args]: readonly string[],
  { bin, env, cwd }: { bin: string; env: Record<string, string>; cwd: string },
): Promise<Spoken> {
  const child = new Deno.Command(join(bin, program!), {
    args,
    cwd,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await finish(child, args, 180_000);
}

/** What no command asks: shell completion (wire.md §4.7) and the dashboard's questions. */
function others(tap: Tap, scrub: Scrub) {
  const paths = [
    ...["cluster_name", "storage_name", "volume_name", "api_request"]
      .map((kind) => `/api/completion/${kind}?incomplete=nothing`),
    "/users/role",
    "/users/service-account-tokens",
    "/ssh_node_pools",
    "/ssh_node_pools/keys",
    "/ssh_node_pools/lab/status",
  ];
  const speak = async () => {
    for (const path of paths) await (await fetch(tap.url + path)).text();
    return { code: 0, stdout: "", stderr: "" };
  };
  return converse(tap, scrub, { command: ["completion and dashboard"], speak });
}
