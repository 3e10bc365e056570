/** What our client is made to ask in the golden exchanges: the recorder and the replay ask the same. */
import type { OperationKey } from "../../api/operations.ts";
import { isSkyError } from "../../core/errors.ts";
import { MINIMAL } from "./minimal_input.ts";
import { skyAt } from "./official_client.ts";

/** Who asks, whatever the machine. */
export const WIRE_USER = { SKYPILOT_USER_ID: "fcd1e5cf", SKYPILOT_USER: "alice" };

/** Where it runs, below its home. */
export const OUR_FOLDER = "project";

export const OUR_FILES = {
  "task.yaml":
    "workdir: data\nfile_mounts:\n  /tmp/one.txt: data/one.txt\nresources:\n  cpus: 2\nrun: cat one.txt\n",
  "data/one.txt": "one\n",
};

type Make = (last: string) => string[];
const typed = (text: string): Make => () => text.split(" ");
/** With the id that the command before it printed, cut to its prefix. */
const withId = (text: string): Make => (last) => {
  const id = /request: ([0-9a-f]{8})/.exec(last)?.[1];
  if (id === undefined) throw new Error(`No request id in: ${last}`);
  return [...text.split(" "), id];
};

export const OUR_COMMANDS: readonly Make[] = [
  typed("api info"),
  typed("api info -o json"),
  typed("check"),
  typed("status"),
  typed("status -r"),
  typed("status missing"),
  typed("launch -y -c c1 echo hi"),
  typed("launch -y -c c1 task.yaml"),
  typed("launch --async -y -c c2 echo hi"),
  withId("api logs"),
  typed("launch --async -y -c c3 echo hi"),
  withId("api status"),
  typed("launch --async -y -c c4 echo hi"),
  withId("api cancel -y"),
  typed("api logs deadbeef"),
  typed("queue missing"),
  typed("logs missing"),
  typed("exec missing true"),
  typed("down -y missing"),
  typed("stop -y missing"),
  typed("start -y missing"),
  typed("autostop -y missing"),
  typed("cancel -y missing 1"),
  typed("gpus list"),
  typed("jobs queue"),
  typed("serve status"),
  typed("storage ls"),
  typed("volumes ls"),
  typed("cost-report"),
];

/** One row of the operations table through the sdk; the outcome as text. */
export async function askEach(url: string, key: OperationKey): Promise<string> {
  using client = skyAt(url);
  try {
    const id = await client.submit(key as "status", MINIMAL[key] as { cluster_names: null });
    return JSON.stringify(await client.get(id)) + "\n";
  } catch (error) {
    if (!isSkyError(error)) throw error;
    return `${error.code}: ${error.message.split("\n")[0]}\n`;
  }
}
