/** `sky ssh up` and `sky ssh down`: machines of one's own as SSH node pools (cli.md §9.3). The server does the work. */
import { SkyError } from "../../core/errors.ts";
import { sshPoolsFile, userHome } from "../../core/paths.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io, Option } from "../command.ts";
import { followRequest } from "../follow.ts";
import { CONFIG } from "../options.ts";

const OPTIONS: readonly Option[] = [
  { name: "infra", kind: "text", metavar: "POOL", help: "Only this pool.  [default: all]" },
  { name: "async", kind: "flag", hidden: true, help: "Return once the request is submitted." },
];

export const up: Command = {
  name: "up",
  summary: "Set up SSH node pools.",
  help:
    "Reach every host of the SSH node pools in ~/.sky/ssh_node_pools.yaml and show what each has: cores, memory, " +
    "GPUs, disk. Nothing is installed there.\n\nAfterwards: sky launch --infra ssh/POOL",
  examples: ["sky ssh up", "sky ssh up --infra lab", "sky ssh up -f pools.yaml"],
  args: [],
  options: [
    ...OPTIONS.slice(0, 1),
    {
      name: "file",
      short: "f",
      kind: "text",
      metavar: "PATH",
      complete: "file",
      help: "Merge the pools of this file into those of the server first.",
    },
    ...OPTIONS.slice(1),
    ...CONFIG,
  ],
  run: runUp,
};

export const down: Command = {
  name: "down",
  summary: "Let go of SSH node pools.",
  help:
    "Let go of the hosts of the SSH node pools and remove what is left there. Refused while clusters are on them. " +
    "The pools stay in ~/.sky/ssh_node_pools.yaml.",
  examples: ["sky ssh down", "sky ssh down --infra lab"],
  args: [],
  options: [...OPTIONS, ...CONFIG],
  run: async (io, input) => {
    const sky = await io.sky();
    const id = await sky.poolsDown({ infra: poolOf(input) });
    return await followed(io, sky, { id, background: input.flag("async") });
  },
};

async function runUp(io: Io, input: Input): Promise<number> {
  const sky = await io.sky();
  await sendFile(io, sky, input);
  const id = await sky.poolsUp({ infra: poolOf(input) });
  return await followed(io, sky, { id, background: input.flag("async") });
}

/** A local server reads the usual file itself. */
async function sendFile(io: Io, sky: Sky, input: Input): Promise<void> {
  const given = input.text("file");
  const path = given === undefined ? sshPoolsFile(io.env) : absolute(given, io);
  if (given === undefined && !sky.remote) return;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    // A server elsewhere may have pools of its own.
    if (given === undefined) return;
    throw new SkyError("file_not_found", `No such file: ${given}`, { cause: error });
  }
  await sky.uploadPools({ text, path, keys: sky.remote });
}

function absolute(path: string, io: Io): string {
  if (path.startsWith("~/")) return userHome(io.env) + path.slice(1);
  return path.startsWith("/") ? path : `${io.cwd}/${path}`;
}

async function followed(
  io: Io,
  sky: Sky,
  { id, background }: { id: Awaited<ReturnType<Sky["poolsUp"]>>; background: boolean },
): Promise<number> {
  if (background) io.out.line(`Request submitted with ID: ${id}`);
  else await followRequest(io, sky, id);
  return 0;
}

/** `lab`, `ssh/lab` and `ssh` are understood. */
function poolOf(input: Input): string | null {
  const name = input.text("infra")?.replace(/^ssh(\/|$)/, "") ?? "";
  return name === "" ? null : name;
}
