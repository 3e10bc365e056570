import { assertEquals, assertStringIncludes } from "@std/assert";
import { cluster, inputOf, serverWith, sky } from "./fake_sky.ts";

const answers = serverWith([
  cluster("c", { ip: "1.2.3.4" }),
  cluster("old", { status: "STOPPED" }),
  cluster("bare"),
], {
  endpoints: ({ port }) => {
    const all: Record<string, string> = { "8080": "http://1.2.3.4:8080", "9000": "http://1.2.3.4:9000" };
    return port === null || port === undefined
      ? all
      : Object.fromEntries(Object.entries(all).filter(([key]) => key === String(port)));
  },
});

Deno.test("status --ip, --endpoint and --endpoints print the value and nothing else", async () => {
  assertEquals((await sky(["status", "--ip", "c"], { answers })).out, "1.2.3.4\n");
  const one = await sky(["status", "--endpoint", "8080", "c"], { answers });
  assertEquals(one.out, "http://1.2.3.4:8080\n");
  assertEquals(inputOf(one, "endpoints"), { cluster: "c", port: 8080 });
  const all = await sky(["status", "--endpoints", "c"], { answers });
  assertEquals(all.out, "8080: http://1.2.3.4:8080\n9000: http://1.2.3.4:9000\n");
  const coloured = await sky(["status", "--endpoints", "c"], { answers, terminal: { color: true } });
  assertStringIncludes(
    coloured.out,
    "\x1b[1m\x1b[34m8080\x1b[0m\x1b[0m: \x1b[1m\x1b[36mhttp://1.2.3.4:8080\x1b[0m",
  );
});

const IP = "Usage: `sky status --ip <cluster>`";
const ROWS: [string[], number, string][] = [
  [
    ["--ip"],
    1,
    `ValueError: No cluster specified. Please specify an existing cluster to show its IP address.\n${IP}\n`,
  ],
  [
    ["--endpoints"],
    1,
    "ValueError: No cluster specified. Please specify an existing cluster to show its endpoint(s).\n" +
    "Usage: `sky status --endpoints <cluster>`\n",
  ],
  [
    ["--ip", "a", "b"],
    1,
    `ValueError: 2 clusters specified. Please specify a single cluster to show its IP address.\n${IP}\n`,
  ],
  [
    ["--ip", "*"],
    1,
    `ValueError: 3 clusters specified. Please specify a single cluster to show its IP address.\n${IP}\n`,
  ],
  [
    ["--ip", "nope"],
    1,
    `ValueError: 'nope' cluster not found. Please specify a single cluster to show its IP address.\n${IP}\n`,
  ],
  [
    ["--endpoint", "80", "x*"],
    1,
    "ValueError: 'x*' cluster not found. Please specify a single cluster to show its endpoint(s).\n" +
    "Usage: `sky status --endpoint port <cluster>`\n",
  ],
  [["--ip", "old"], 1, "RuntimeError: Cluster 'old' is not in UP status.\n"],
  [["--endpoints", "old"], 1, "RuntimeError: Cluster 'old' is not in UP status.\n"],
  [
    ["--ip", "bare"],
    1,
    "RuntimeError: Cannot show the IP address of cluster 'bare': the server knows none\n",
  ],
  [["--endpoint", "1", "c"], 1, "ValueError: Endpoint 1 not found for cluster 'c'.\n"],
  [
    ["--ip", "--endpoints", "c"],
    1,
    "ValueError: Cannot specify both --ip and --endpoint(s) at the same time.\n",
  ],
  [
    ["--endpoint", "1", "--endpoints", "c"],
    1,
    "ValueError: Cannot specify both --endpoint and --endpoints at the same time.\n",
  ],
  [
    ["--ip", "-r", "c"],
    2,
    "Usage: sky status [OPTIONS] [CLUSTERS]...\nTry 'sky status -h' for help.\n\n" +
    "Error: Using --ip or --endpoint(s) with --refresh is not supported for now. " +
    "To fix, refresh first, then query the IP or endpoint.\n",
  ],
  [
    ["--endpoint", "x", "c"],
    2,
    "Usage: sky status [OPTIONS] [CLUSTERS]...\nTry 'sky status -h' for help.\n\n" +
    "Error: Invalid value for '--endpoint': 'x' is not a valid integer.\n",
  ],
];

Deno.test("status --ip and --endpoint(s) have the errors of cli.md §3.3, with nothing on stdout", async () => {
  for (const [words, code, err] of ROWS) {
    const ran = await sky(["status", ...words], { answers });
    assertEquals([ran.code, ran.err, ran.out], [code, err, ""], words.join(" "));
  }
});
