/** Our client, played what SkyPilot's own server once answered: it must ask the same and make the same of it. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { OperationKey } from "../../api/operations.ts";
import { readGolden, Scrub, withoutColour, writeFiles } from "../support/golden.ts";
import { askEach, OUR_COMMANDS, OUR_FILES, OUR_FOLDER, WIRE_USER } from "../support/golden_ours.ts";
import { RecordedServer, replayId } from "../support/recorded_server.ts";
import { TestSky } from "../support/sky.ts";

/** Columns are as wide as the times in them were. */
const squeeze = (text: string): string => text.replace(/ +/g, " ").replace(/─+/g, "─").trim();

Deno.test("our client asks and shows what it did with the official server", async (t) => {
  const golden = await readGolden("our_client");
  assertEquals(golden.files, OUR_FILES);
  await using server = new RecordedServer();
  await using sky = await TestSky.make({ ...WIRE_USER, SKYPILOT_API_SERVER_ENDPOINT: server.url });
  const cwd = join(sky.home, OUR_FOLDER);
  await writeFiles(cwd, golden.files);
  const scrub = new Scrub({ [server.url]: "<server>", [sky.home]: "<home>" }, { blobs: true });
  for (let number = 1; number < 2_000; number++) scrub.know(replayId(number), number);
  let last = "";
  for (const [index, conversation] of golden.conversations.entries()) {
    const [first, key] = conversation.command;
    await t.step(conversation.command.join(" "), async () => {
      server.play(conversation, scrub);
      let ran = { code: 0, stdout: "", stderr: "" };
      if (first === "sdk") ran = { ...ran, stdout: await askEach(server.url, key as OperationKey) };
      else {
        const command = OUR_COMMANDS[index]!(last);
        assertEquals(command.map((word) => scrub.text(word)), conversation.command);
        ran = await sky.run(command, { cwd });
      }
      last = ran.stdout;
      assertEquals([...server.strange], []);
      assertEquals(server.unasked, []);
      assertEquals(squeeze(scrub.text(withoutColour(ran.stdout))), squeeze(conversation.stdout));
      assertEquals(
        squeeze(scrub.text(withoutColour(ran.stderr)).trim().split("\n").at(-1) ?? ""),
        squeeze(conversation.stderr),
      );
      assertEquals(ran.code, conversation.exit);
    });
  }
});
