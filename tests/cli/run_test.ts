import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Command, Io } from "../../cli/command.ts";
import type { Entry, EntryGroup } from "../../cli/commands/mod.ts";
import { run, type World } from "../../cli/run.ts";
import { VERSION } from "../../cli/version.ts";
import * as wire from "../../api/wire.ts";
import type { SkyConfig } from "../../core/config.ts";
import { SkyError } from "../../core/errors.ts";
import type { Sky } from "../../sdk/client.ts";
import { testTerminal, type TestTerminalOptions } from "../support/test_terminal.ts";

interface Setting {
  work?: (io: Io) => Promise<number>;
  env?: Record<string, string>;
  terminal?: TestTerminalOptions;
  signal?: AbortSignal;
  loadConfig?: (overrides: readonly string[]) => SkyConfig;
  connect?: World["connect"];
}

/** Run `argv` with one command `do` (and group `g` with `sub`) whose work is given. */
async function go(argv: string[], setting: Setting = {}) {
  const command: Command = {
    name: "do",
    summary: "Do it.",
    help: "Do it well.",
    examples: ["sky do X"],
    args: [{ name: "THING", required: true, many: false }],
    options: [
      { name: "config", kind: "text", repeat: true, help: "" },
      { name: "workspace", short: "w", kind: "text", overrides: "active_workspace", help: "" },
    ],
    run: (io) => setting.work?.(io) ?? Promise.resolve(0),
  };
  const commands: (Entry | EntryGroup)[] = [
    { name: "do", summary: "Do it.", load: () => Promise.resolve(command) },
    { name: "ghost", summary: "Unseen.", hidden: true, load: () => Promise.reject(new Error("loaded")) },
    {
      name: "g",
      summary: "A group.",
      entries: [{ name: "sub", summary: "Sub.", load: () => Promise.resolve(command) }],
    },
  ];
  const test = testTerminal({ ...setting.terminal, ...(setting.signal ? { signal: setting.signal } : {}) });
  const code = await run(argv, {
    out: test.terminal,
    env: (name) => setting.env?.[name],
    cwd: "/",
    signal: setting.signal ?? new AbortController().signal,
    now: () => 0,
    openConfig: (_env, _cwd, overrides) => Promise.resolve(() => setting.loadConfig?.(overrides) ?? {}),
    ...(setting.connect === undefined ? {} : { connect: setting.connect }),
    commands,
  });
  return { code, out: test.out(), err: test.err() };
}

const raising = (error: unknown) => ({ work: () => Promise.reject(error) });

Deno.test("run answers version, commit and their JSON without loading a command", async () => {
  for (const flag of ["-v", "--version"]) {
    assertEquals(await go([flag]), { code: 0, out: "skypilot, version 1.0.0-dev0\n", err: "" });
  }
  assertStringIncludes((await go(["-c"])).out, "skypilot, commit ");
  const json = JSON.parse((await go(["--version", "-o", "json"])).out);
  assertEquals(Object.keys(json), ["version", "commit", "deno", "sqlite"]);
  assertEquals(json.deno, Deno.version.deno);
  assertEquals(VERSION, wire.VERSION);
});

Deno.test("run shows help for nothing, -h and groups, and leaves hidden commands out", async () => {
  const { code, out, err } = await go([]);
  assertEquals([code, err], [0, ""]);
  assertStringIncludes(out, "Usage: sky [OPTIONS] COMMAND [ARGS]...\n\n  ");
  assertStringIncludes(out, "\nCommands:\n  do  Do it.\n  g   A group.\n");
  assert(!out.includes("ghost"));
  assertEquals((await go(["-h"])).out, out);
  const group = await go(["g"]);
  assertEquals(group.code, 0);
  assertStringIncludes(group.out, "Usage: sky g [OPTIONS] COMMAND [ARGS]...\n\n  A group.\n");
  assertEquals((await go(["g", "--help"])).out, group.out);
  assertStringIncludes(
    (await go(["g", "sub", "-h"])).out,
    "Usage: sky g sub [OPTIONS] THING\n\n  Do it well.\n",
  );
});

Deno.test("run prints usage errors in click's shape with exit code 2", async () => {
  const matrix: [string[], string][] = [
    [
      ["foo"],
      "Usage: sky [OPTIONS] COMMAND [ARGS]...\nTry 'sky -h' for help.\n\nError: No such command 'foo'.\n",
    ],
    [
      ["gost"],
      "Usage: sky [OPTIONS] COMMAND [ARGS]...\nTry 'sky -h' for help.\n\nError: No such command 'gost'.\n",
    ],
    [
      ["g", "sup"],
      "Usage: sky g [OPTIONS] COMMAND [ARGS]...\nTry 'sky g -h' for help.\n\n" +
      "Error: No such command 'sup'. Did you mean 'sub'?\n",
    ],
    [
      ["--nope"],
      "Usage: sky [OPTIONS] COMMAND [ARGS]...\nTry 'sky -h' for help.\n\nError: No such option: --nope\n",
    ],
    [
      ["do"],
      "Usage: sky do [OPTIONS] THING\nTry 'sky do -h' for help.\n\nError: Missing argument 'THING'.\n",
    ],
    [
      ["g", "sub", "x", "--nope"],
      "Usage: sky g sub [OPTIONS] THING\nTry 'sky g sub -h' for help.\n\nError: No such option: --nope\n",
    ],
  ];
  for (const [argv, err] of matrix) assertEquals(await go(argv), { code: 2, out: "", err });
});

Deno.test("run returns the command's own exit code", async () => {
  for (const code of [0, 1, 100, 101, 102, 103]) {
    assertEquals((await go(["do", "x"], { work: () => Promise.resolve(code) })).code, code);
  }
});

Deno.test("run prints errors by SkyPilot's class names with exit code 1", async () => {
  const matrix: [unknown, string][] = [
    [
      new SkyError("cluster_not_found", "Cluster 'nope' does not exist."),
      "sky.exceptions.ClusterDoesNotExist: Cluster 'nope' does not exist.\n",
    ],
    [new SkyError("invalid_argument", "Bad."), "ValueError: Bad.\n"],
    [
      new SkyError("not_supported", "No.", { hint: "sky yes" }),
      "sky.exceptions.NotSupportedError: No.\nsky yes\n",
    ],
    [
      new SkyError("internal", "Odd.", { details: { type: "UserRequestRejectedByPolicy" } }),
      "sky.exceptions.UserRequestRejectedByPolicy: Odd.\n",
    ],
    [new SkyError("aborted", "Aborted!"), "Aborted!\n"],
    [
      new TypeError("x is undefined"),
      "RuntimeError: x is undefined\nThis is a bug in sky. SKYPILOT_DEBUG=1 shows where.\n",
    ],
  ];
  for (const [error, err] of matrix) {
    assertEquals(await go(["do", "x"], raising(error)), { code: 1, out: "", err });
  }
});

Deno.test("run shows traces only with SKYPILOT_DEBUG", async () => {
  const error = new SkyError("internal", "Odd.", { details: { stacktrace: "server line" } });
  const { err } = await go(["do", "x"], { ...raising(error), env: { SKYPILOT_DEBUG: "1" } });
  assertStringIncludes(err, "=== Traceback on SkyPilot API Server ===\nserver line\n");
  assertStringIncludes(err, "run_test.ts");
  assert(err.endsWith("RuntimeError: Odd.\n"));
});

Deno.test("run ends quietly when the reader of its output is gone", async () => {
  const { code, err } = await go(["do", "x"], raising(new Deno.errors.BrokenPipe()));
  assertEquals([code, err], [0, ""]);
});

Deno.test("run says Aborted! on its own line after Ctrl+C and restores the cursor", async () => {
  const interrupt = new AbortController();
  const { code, out, err } = await go(["do", "x"], {
    signal: interrupt.signal,
    terminal: { tty: true },
    work: (io) => {
      io.out.spinner("working");
      interrupt.abort();
      return Promise.reject(io.signal.reason);
    },
  });
  assertEquals([code, err], [1, "\nAborted!\n"]);
  assert(out.endsWith("\r\x1b[2K\x1b[?25h"));
});

Deno.test("run hands config overrides to the config, at once and once", async () => {
  const seen: (readonly string[])[] = [];
  const loadConfig = (overrides: readonly string[]) => {
    seen.push(overrides);
    return { overrides };
  };
  const argv = ["do", "x", "--config", "a=1", "-w", "team", "--config", "b=2"];
  const { code } = await go(argv, {
    loadConfig,
    work: (io) => Promise.resolve(io.config().overrides === seen[0] ? 7 : 1),
  });
  assertEquals([code, seen], [7, [["a=1", "b=2", "active_workspace=team"]]]);
  const bad = await go(["do", "x", "--config", "foo"], {
    loadConfig: () => {
      throw new SkyError("usage", "Invalid value for '--config': bad");
    },
  });
  assertEquals(bad.code, 2);
  const untouched = await go(["do", "x"], {
    loadConfig: () => {
      throw new SkyError("invalid_config", "read for nothing");
    },
  });
  assertEquals(untouched.code, 0);
});

Deno.test("run connects lazily, once, and tells only people of a server start", async () => {
  for (const tty of [false, true]) {
    const starts: boolean[] = [];
    const sky = {} as Sky;
    const { code, out, err } = await go(["do", "x"], {
      terminal: { tty, env: { NO_COLOR: "1" } },
      connect: (options) => {
        starts.push(options.start);
        assertEquals(options.command, "sky do x");
        if (options.start) options.onStart?.("Starting a local server.");
        if (options.start) options.onStarted?.();
        return Promise.resolve(sky);
      },
      work: async (io) => {
        assertEquals(await io.skyIfRunning(), sky);
        assertEquals(await io.sky(), sky);
        assertEquals(await io.sky(), sky);
        return 0;
      },
    });
    assertEquals([code, err, starts], [0, "", [false, true]]);
    assertEquals(out, tty ? "Starting a local server.\n✓ SkyPilot API server started. \n" : "");
  }
  assertEquals((await go(["do", "x"], { connect: () => Promise.reject(new Error("connected")) })).code, 0);
});

Deno.test("run wraps help to the terminal's width in two columns", async () => {
  const { out } = await go(["do", "--help"], { terminal: { env: { COLUMNS: "60" } } });
  assertEquals(
    out,
    [
      "Usage: sky do [OPTIONS] THING",
      "",
      "  Do it well.",
      "",
      "Options:",
      "  --config TEXT",
      "  -w, --workspace TEXT",
      "  -h, --help            Show this message and exit.",
      "",
      "Examples:",
      "  sky do X",
      "",
    ].join("\n"),
  );
});
