/** Our client talks to SkyPilot's own server: the commands of issue 4 §2, then every row of the operations table. */
import { join } from "@std/path";
import type { OperationKey } from "../../api/operations.ts";
import { routes } from "../../api/routes.ts";
import { type Golden, Scrub, writeFiles } from "../../tests/support/golden.ts";
import { MINIMAL } from "../../tests/support/minimal_input.ts";
import { askEach, OUR_COMMANDS, OUR_FILES, OUR_FOLDER, WIRE_USER } from "../../tests/support/golden_ours.ts";
import { OFFICIAL_VERSION, OfficialServer } from "../../tests/support/official_server.ts";
import { TestSky } from "../../tests/support/sky.ts";
import { converse } from "./conversation.ts";
import { Tap } from "./tap.ts";

export async function createOurRecord(bin: string): Promise<Golden> {
  await using server = await OfficialServer.start(bin);
  await using tap = new Tap(server.url);
  await using sky = await TestSky.make({ ...WIRE_USER, SKYPILOT_API_SERVER_ENDPOINT: tap.url });
  const words = {
    [tap.url]: "<server>",
    [server.url]: "<server>",
    [server.home]: "<server-home>",
    [sky.home]: "<home>",
    [bin.replace(/\/bin$/, "")]: "<venv>",
    [Deno.hostname()]: "<host>",
  };
  const cwd = join(sky.home, OUR_FOLDER);
  await writeFiles(cwd, OUR_FILES);
  const scrub = new Scrub(words, { blobs: true });
  const conversations = [];
  let last = "";
  for (const make of OUR_COMMANDS) {
    const command = make(last);
    const speak = async () => {
      const ran = await sky.run(command, { cwd, timeoutMs: 180_000 });
      last = ran.stdout;
      return ran;
    };
    conversations.push(await converse(tap, scrub, { command, speak }));
  }
  for (const key of Object.keys(MINIMAL) as OperationKey[]) {
    if (routes[key].kind === "streaming") continue;
    const speak = async () => ({ code: 0, stdout: await askEach(tap.url, key), stderr: "" });
    conversations.push(await converse(tap, scrub, { command: ["sdk", key], speak }));
  }
  return { client: "sky", server: `skypilot ${OFFICIAL_VERSION}`, files: OUR_FILES, conversations };
}
