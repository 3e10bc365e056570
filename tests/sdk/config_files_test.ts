import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import type { Env } from "../../core/paths.ts";
import { loadConfig, removeEndpoint, saveEndpoint } from "../../sdk/config_files.ts";
import { openConfig } from "../../sdk/config_paths.ts";

interface Place {
  home: string;
  env: Env;
  variables: Record<string, string>;
  write(name: string, text: string): string;
}

function writeBelow(home: string, { name, text }: { name: string; text: string }): string {
  const path = join(home, name);
  Deno.mkdirSync(join(path, ".."), { recursive: true });
  Deno.writeTextFileSync(path, text);
  return path;
}

async function withHome(work: (place: Place) => void | Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "sky-test-" });
  const variables: Record<string, string> = { HOME: home };
  try {
    await work({
      home,
      variables,
      env: (name) => variables[name],
      write: (name, text) => writeBelow(home, { name, text }),
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("loadConfig overlays user file, project file and --config", async () => {
  await withHome(({ home, env, write }) => {
    assertEquals(loadConfig(env, home, []), {});
    write(
      ".sky/config.yaml",
      "api_server:\n  endpoint: http://a:1\njobs:\n  bucket: s3://x\nallowed_clouds: [aws]\n",
    );
    write(".sky.yaml", "jobs: {bucket: s3://y}\nallowed_clouds: [gcp, local]\n");
    assertEquals(
      loadConfig(env, home, ["jobs.controller.autostop=yes,active_workspace=w", "aws.labels={a: 1}"]),
      {
        api_server: { endpoint: "http://a:1" },
        jobs: { bucket: "s3://y", controller: { autostop: true } },
        allowed_clouds: ["gcp", "local"],
        active_workspace: "w",
        aws: { labels: { a: 1 } },
      },
    );
  });
});

Deno.test("loadConfig reads the files that variables name, and misses them when they are not there", async () => {
  await withHome(({ home, env, variables, write }) => {
    write(".sky/config.yaml", "active_workspace: default\n");
    variables["SKYPILOT_GLOBAL_CONFIG"] = write("mine.yaml", "active_workspace: mine\n");
    assertEquals(loadConfig(env, home, []), { active_workspace: "mine" });
    variables["SKYPILOT_CONFIG"] = write("only.yaml", "active_workspace: only\n");
    assertEquals(loadConfig(env, home, []), { active_workspace: "only" });
    variables["SKYPILOT_CONFIG"] = join(home, "nope.yaml");
    assertEquals(assertThrows(() => loadConfig(env, home, []), SkyError, "nope.yaml").code, "file_not_found");
  });
});

Deno.test("loadConfig takes one --config that is a file as one", async () => {
  await withHome(({ home, env, write }) => {
    const path = write("extra.yaml", "active_workspace: w\n");
    assertEquals(loadConfig(env, home, [path]), { active_workspace: "w" });
    assertEquals(loadConfig(env, home, ["extra.yaml"]), { active_workspace: "w" });
    const error = assertThrows(() => loadConfig(env, home, [path, "jobs.bucket=x"]), SkyError);
    assertEquals([error.code, error.message], [
      "usage",
      "Invalid value for '--config': Cannot use multiple --config flags with a config file.",
    ]);
  });
});

Deno.test("loadConfig explains a bad --config as cli.md 1.12 says", async () => {
  await withHome(({ home, env }) => {
    const error = assertThrows(() => loadConfig(env, home, ["foo"]), SkyError);
    assertEquals(error.code, "usage");
    assertEquals(
      error.message,
      "Invalid value for '--config': Invalid config override: ('foo',). Check if config file exists or if the dotlist " +
        "is formatted as: key1=value1,key2=value2.\nDetails: Invalid config override: foo. Please use the format: key=value",
    );
    assertThrows(() => loadConfig(env, home, ["a=1", "jobs.bucket=x"]), SkyError, "('a=1', 'jobs.bucket=x')");
    assertThrows(() => loadConfig(env, home, ["a=1"]), SkyError, "(CLI)");
    assertThrows(() => loadConfig(env, home, ["a=1"]), SkyError, "Error: Found unsupported field 'a'.");
    assertThrows(() => loadConfig(env, home, ["jobs.bucket=[1"]), SkyError, "Invalid value for '--config'");
  });
});

Deno.test("loadConfig names the file that is malformed", async () => {
  await withHome(({ home, env, write }) => {
    for (const text of ["a: [", "- x\n", "a: 1\na: 2\n", "plain"]) {
      const path = write(".sky/config.yaml", text);
      const error = assertThrows(() => loadConfig(env, home, []), SkyError, path);
      assertEquals(error.code, "invalid_config");
    }
    write(".sky/config.yaml", "# nothing\n");
    assertEquals(loadConfig(env, home, []), {});
  });
});

Deno.test("openConfig loads when called, and throws then", async () => {
  await withHome(async ({ home, env, write }) => {
    assertEquals((await openConfig(env, home, []))(), {});
    write(".sky.yaml", "a: [");
    const load = await openConfig(env, home, []);
    assertThrows(load, SkyError);
    assertEquals((await openConfig(() => undefined, "/", ["jobs.bucket=x"]))(), { jobs: { bucket: "x" } });
  });
});

Deno.test("saveEndpoint replaces the section and leaves the rest of the file as it is", async () => {
  await withHome(async ({ home, env, write }) => {
    const rest = "# my config\naws:\n  labels: {a: b}   # keep\n\n";
    const path = write(
      ".sky/config.yaml",
      `${rest}api_server:\n  endpoint: http://old:1\n  # old\n\njobs:\n  bucket: s3://x\n`,
    );
    await saveEndpoint(env, "https://new:2", "sky_token");
    const text = await Deno.readTextFile(path);
    assertEquals(text.startsWith(rest), true);
    assertEquals(loadConfig(env, home, []), {
      aws: { labels: { a: "b" } },
      jobs: { bucket: "s3://x" },
      api_server: { endpoint: "https://new:2", service_account_token: "sky_token" },
    });
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    await removeEndpoint(env);
    assertEquals(await Deno.readTextFile(path), `${rest}jobs:\n  bucket: s3://x\n`);
  });
});

Deno.test("saveEndpoint makes the file, copes with flow style, and refuses a broken file", async () => {
  await withHome(async ({ home, env, write }) => {
    await removeEndpoint(env);
    await saveEndpoint(env, "http://h:1");
    assertEquals(loadConfig(env, home, []), { api_server: { endpoint: "http://h:1" } });
    await removeEndpoint(env);
    assertEquals(loadConfig(env, home, []), {});
    write(".sky/config.yaml", "{api_server: {endpoint: http://a:1}, jobs: {bucket: x}}\n");
    await saveEndpoint(env, "http://h:2");
    assertEquals(loadConfig(env, home, []), {
      jobs: { bucket: "x" },
      api_server: { endpoint: "http://h:2" },
    });
    const path = write(".sky/config.yaml", "a: [");
    await assertRejects(() => saveEndpoint(env, "http://h:3"), SkyError);
    assertEquals(await Deno.readTextFile(path), "a: [");
  });
});
