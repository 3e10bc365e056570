/**
 * Records what SkyPilot's own client says to our server, and our client to SkyPilot's own server, into
 * tests/wire/golden (issue 4 §3). Needs python3 and PyPI; the tests that replay the records need neither.
 *
 *   deno run -A scripts/record_wire.ts [official_client|our_client]
 */
import { createOfficialRecord } from "./wire/official_client.ts";
import { createOurRecord } from "./wire/our_client.ts";
import { goldenFile } from "../tests/support/golden.ts";
import { officialBin } from "../tests/support/official_server.ts";

const records = { official_client: createOfficialRecord, our_client: createOurRecord };
const chosen = Deno.args.length > 0 ? Deno.args : Object.keys(records);

const bin = await officialBin();
if (bin === null) Deno.exit(1);
for (const name of chosen) {
  const record = records[name as keyof typeof records];
  if (record === undefined) {
    throw new Error(`No record is called ${name}: ${Object.keys(records).join(", ")}`);
  }
  const golden = await record(bin);
  const text = JSON.stringify(golden, null, 1) + "\n";
  await Deno.writeTextFile(goldenFile(name), text);
  const count = golden.conversations.reduce((sum, { exchanges }) => sum + exchanges.length, 0);
  const line = `${name}: ${golden.conversations.length} conversations, ${count} exchanges, ${
    text.length >> 10
  } KiB\n`;
  await Deno.stdout.write(new TextEncoder().encode(line));
}
