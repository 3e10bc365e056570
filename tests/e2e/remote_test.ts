/** A server for others: its token, logging in and out, uploads, and what hostile callers get. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { LINK, zipOf } from "../server/uploads/zips.ts";
import { TestSky } from "../support/sky.ts";

const TOKEN = /^Service account token \(shown once\): (sky_\S+)$/m;

interface Deployed {
  readonly url: string;
  readonly token: string;
}

async function deploy(server: TestSky): Promise<Deployed> {
  const out = await server.ok(["api", "start", "--deploy", "--host", "0.0.0.0"]);
  const token = TOKEN.exec(out)?.[1];
  assert(token !== undefined, out);
  const { url } = (await server.registration())!;
  return { url, token };
}

async function asked(url: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text() };
}

Deno.test("a deployed server tells its token once, keeps only its hash, and refuses callers without one", async () => {
  await using server = await TestSky.make();
  const { url, token } = await deploy(server);
  assertEquals((await asked(`${url}/api/health`)).text, `{"status":"healthy"}`);
  for (const path of ["/api/status", "/api/stream?request_id=x", "/upload_v2/blob?user_hash=u&blob_id=b"]) {
    const { status, text } = await asked(url + path);
    assertEquals([path, status], [path, 401]);
    assertStringIncludes(text, "Authentication required");
  }
  const wrong = { headers: { Authorization: `Bearer ${token.slice(0, -3)}abc` } };
  assertEquals((await asked(`${url}/api/status`, wrong)).status, 401);
  const right = { headers: { Authorization: `Bearer ${token}` } };
  assertEquals((await asked(`${url}/api/status`, right)).status, 200);

  await server.ok(["api", "stop"]);
  const again = await server.ok(["api", "start", "--deploy", "--host", "0.0.0.0"]);
  assert(!again.includes("sky_"), "a later start keeps the tokens it has and tells none");
  const { url: later } = (await server.registration())!;
  assertEquals((await asked(`${later}/api/status`, right)).status, 200);
  for await (const { name, isFile } of Deno.readDir(server.env.SKY_HOME!)) {
    if (!isFile) continue;
    const text = await Deno.readTextFile(join(server.env.SKY_HOME!, name));
    assert(!text.includes(token), `the token lies in ${name}`);
  }
});

Deno.test("a second start that asks for another way to listen says what runs already", async () => {
  await using server = await TestSky.make();
  await server.ok(["api", "start", "--deploy", "--host", "127.0.0.1"]);
  const { pid, url } = (await server.registration())!;
  const second = await server.run(["api", "start", "--deploy", "--host", "0.0.0.0"]);
  assertEquals(second.code, 1);
  assertStringIncludes(second.stderr, `one (pid ${pid}) runs already at ${url}`);
  // On loopback alone nobody needs a token: the kernel says who calls.
  assertEquals((await asked(`${url}/api/status`)).status, 200);
});

Deno.test("logged in from another home: upload, launch, exec, logs, status, logout", async () => {
  await using server = await TestSky.make();
  await using client = await TestSky.make();
  const { url, token } = await deploy(server);
  const refused = await client.run(["api", "login", "-e", url, "-t", `${token}x`]);
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "Authentication failed.");
  const loggedIn = await client.ok(["api", "login", "-e", url, "--token", token]);
  assertStringIncludes(loggedIn, `Logged into SkyPilot API server at: ${url}\n`);
  assertStringIncludes(await client.ok(["api", "info"]), `Using SkyPilot API server and dashboard: ${url}\n`);

  await makeProject(client.work);
  const out = await client.ok(["launch", "-c", "far", "-y", "task.yaml"]);
  for (
    const line of ["tool ran", "linked", "link is sub/t.txt", "one", "x", "lx", "ignored", "plain is plain"]
  ) {
    assertStringIncludes(out, `) ${line}\n`);
  }
  await Deno.writeTextFile(join(client.work, "proj", "new.txt"), "changed\n");
  await Deno.writeTextFile(join(client.work, "again.yaml"), "workdir: ./proj\nrun: cat new.txt\n");
  assertStringIncludes(await client.ok(["exec", "far", "again.yaml"]), ") changed\n");
  const failed = await client.run(["exec", "far", "exit 4"]);
  assertEquals(failed.code, 100);
  assertStringIncludes(await client.ok(["logs", "far", "1"]), ") tool ran\n");
  const clusters: { name: string }[] = JSON.parse(await client.ok(["status", "-o", "json"]));
  assertEquals(clusters.map(({ name }) => name), ["far"]);
  const requests: { name: string }[] = JSON.parse(await client.ok(["api", "status", "-a", "-o", "json"]));
  assert(requests.some(({ name }) => name === "sky.launch"));
  const saved = await client.ok(["logs", "far", "1", "--sync-down"]);
  const folder = /logs: ~\/(\S+)/.exec(saved)?.[1];
  assert(folder !== undefined, saved);
  assertStringIncludes(await Deno.readTextFile(join(client.home, folder, "run.log")), "tool ran");
  assertEquals(await client.registration(), undefined, "no local server was started for it");
  await client.ok(["down", "far", "-y"]);

  assertStringIncludes(await client.ok(["api", "logout"]), "Logged out of SkyPilot API server.");
  assertStringIncludes(await client.ok(["api", "info"]), "No SkyPilot API server is connected");
  const twice = await client.run(["api", "logout"]);
  assertEquals(twice.code, 1);
  assertStringIncludes(twice.stderr, "Local api server cannot be logged out.");
});

async function makeProject(work: string): Promise<void> {
  await Deno.mkdir(join(work, "proj", "sub"), { recursive: true });
  await Deno.mkdir(join(work, "data"));
  await Deno.writeTextFile(join(work, "proj", "tool.sh"), "#!/bin/sh\necho tool ran\n", { mode: 0o755 });
  await Deno.writeTextFile(join(work, "proj", "sub", "t.txt"), "linked\n");
  await Deno.symlink("sub/t.txt", join(work, "proj", "link.txt"));
  await Deno.writeTextFile(join(work, "proj", ".skyignore"), "*.bin\n");
  await Deno.writeTextFile(join(work, "proj", "big.bin"), "no\n");
  await Deno.writeTextFile(join(work, "one.txt"), "one\n");
  await Deno.writeTextFile(join(work, "data", "x"), "x\n");
  await Deno.symlink("x", join(work, "data", "lx"));
  await Deno.writeTextFile(
    join(work, "task.yaml"),
    `workdir: ./proj
file_mounts:
  ~/in/dir: ./data
  ~/in/one.txt: ./one.txt
run: |
  ./tool.sh; cat link.txt; echo "link is $(readlink link.txt)"; cat ~/in/one.txt ~/in/dir/x
  ls ~/in/dir; ls big.bin 2>/dev/null || echo ignored; [ -x sub/t.txt ] || echo plain is plain
`,
  );
}

Deno.test("endpoint and token from the environment do without a login; a missing token is said clearly", async () => {
  await using server = await TestSky.make();
  await using client = await TestSky.make();
  const { url, token } = await deploy(server);
  const env = { SKYPILOT_API_SERVER_ENDPOINT: url };
  const without = await client.run(["status"], { env });
  assertEquals(without.code, 1);
  assertStringIncludes(without.stderr, `Authentication required for SkyPilot API server at ${url}`);
  assertStringIncludes(without.stderr, `sky api login -e ${url}`);
  const withToken = { ...env, SKYPILOT_SERVICE_ACCOUNT_TOKEN: token };
  assertEquals(JSON.parse(await client.ok(["status", "-o", "json"], { env: withToken })), []);
  // Uploads need no place for temporary files but home.
  await Deno.mkdir(join(client.work, "proj"));
  await Deno.writeTextFile(join(client.work, "proj", "a.txt"), "came along\n");
  const nowhere = { ...withToken, TMPDIR: "/proc/nowhere" };
  const out = await client.ok(["launch", "-y", "-c", "e", "--workdir", "proj", "cat a.txt"], {
    env: nowhere,
  });
  assertStringIncludes(out, ") came along\n");
  await client.ok(["down", "e", "-y"], { env: withToken });
  const login = await client.run(["api", "login", "-e", url], { env });
  assertEquals(login.code, 1);
  assertStringIncludes(login.stderr, "Run unset SKYPILOT_API_SERVER_ENDPOINT");
  const gone = await client.run(["status"], { env: { SKYPILOT_API_SERVER_ENDPOINT: "http://127.0.0.1:9" } });
  assertEquals(gone.code, 1);
  assertMatch(gone.stderr, /Could not connect to SkyPilot API server at http:\/\/127\.0\.0\.1:9/);
});

Deno.test("--insecure demands no token, and says nothing of one", async () => {
  await using server = await TestSky.make();
  await using client = await TestSky.make();
  const out = await server.ok(["api", "start", "--deploy", "--host", "0.0.0.0", "--insecure"]);
  assert(!out.includes("sky_"));
  const { url } = (await server.registration())!;
  const env = { SKYPILOT_API_SERVER_ENDPOINT: url };
  assertStringIncludes(await client.ok(["launch", "-y", "-c", "open", "echo hello"], { env }), ") hello\n");
  await client.ok(["down", "open", "-y"], { env });
});

Deno.test("hostile archives and paths are refused over plain HTTP, and nothing is written outside", async () => {
  await using server = await TestSky.make();
  const { url, token } = await deploy(server);
  const headers = { Authorization: `Bearer ${token}` };
  const upload = (id: string, body: Uint8Array) =>
    asked(`${url}/upload_v2?user_hash=u&upload_id=${id}&chunk_index=0&total_chunks=1`, {
      method: "POST",
      headers,
      body: body as BodyInit,
    });
  const bad = {
    climbing: zipOf([{ name: "../../../../climbed" }]),
    inside: zipOf([{ name: "a/../../climbed" }]),
    absoluteLink: zipOf([{ name: "l", content: "/etc/passwd", mode: LINK }]),
    climbingLink: zipOf([{ name: "l", content: "../../..", mode: LINK }]),
    chain: zipOf([{ name: "d/l", content: "..", mode: LINK }, { name: "m", content: "d/l/..", mode: LINK }]),
    noZip: new TextEncoder().encode("this is no archive"),
  };
  for (const [at, [what, zip]] of Object.entries(bad).entries()) {
    const { status, text } = await upload(String(at).repeat(64), zip);
    assertEquals([what, status], [what, 400], text);
    assertStringIncludes(text, "Invalid zip file");
  }
  for (const id of ["..", "../../x", "a%2F..%2Fb", "", "x%00y"]) {
    const { status } = await upload(id, zipOf([{ name: "a" }]));
    assert(status >= 400 && status < 500, `upload_id '${id}': ${status}`);
  }
  for (
    const path of [
      "/download/../../sky.db",
      "/api/stream?log_path=/etc/passwd",
      "/api/stream?log_path=../sky.db",
    ]
  ) {
    const { status, text } = await asked(url + path, { headers });
    assert(
      status >= 400 && !text.includes("root:") && !text.includes("SQLite"),
      `${path}: ${status} ${text}`,
    );
  }
  const found = await new Deno.Command("find", { args: [server.home, "-name", "climbed*"] }).output();
  assertEquals(new TextDecoder().decode(found.stdout), "");
  assertEquals((await upload("f".repeat(64), zipOf([{ name: "tmp/fine" }]))).status, 200);
});
