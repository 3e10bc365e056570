/** The server's own life: auto-start, races, second server, stale files, stop. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { isAlive, TestSky, until } from "../support/sky.ts";

Deno.test("twenty first commands start exactly one server and all succeed", async () => {
  await using sky = await TestSky.make();
  const runs = await Promise.all(Array.from({ length: 20 }, () => sky.run(["status", "-o", "json"])));
  assertEquals(runs.map((ran) => ran.code), Array(20).fill(0), runs.map((ran) => ran.stderr).join(""));
  const servers = [];
  for (const pid of await sky.processes()) {
    const line = await Deno.readTextFile(`/proc/${pid}/cmdline`);
    if (line.includes("sky.server.server")) servers.push(pid);
  }
  assertEquals(servers, [(await sky.registration())!.pid]);
});

Deno.test("the server outlives the terminal that started it", async () => {
  await using sky = await TestSky.make();
  const terminal = sky.terminal(["status"]);
  assertEquals(await terminal.end(), 0);
  const { pid } = (await sky.registration())!;
  assert(isAlive(pid));
  assertStringIncludes(await sky.ok(["api", "info"]), "HEALTHY");
});

Deno.test("a second server on the same home refuses and names the first", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["api", "start"]);
  const { pid } = (await sky.registration())!;
  const second = await sky.run(["__server", "-m", "sky.server.server", "--home", sky.env.SKY_HOME!]);
  assert(second.code !== 0);
  assertStringIncludes(second.stderr, String(pid));
  assert(isAlive(pid));
});

Deno.test("a server killed with -9 is replaced by the next command, its stale files heal", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "k", "-y", "-d", "sleep 1; echo survived"]);
  const before = (await sky.registration())!;
  await sky.killServer();
  assertStringIncludes(await sky.ok(["logs", "k", "1"]), ") survived\n");
  const after = (await sky.registration())!;
  assert(after.pid !== before.pid);
});

Deno.test("api stop ends it, says so, and jobs go on", async () => {
  await using sky = await TestSky.make();
  assertStringIncludes(await sky.ok(["api", "stop"]), "SkyPilot API server is not running.");
  await sky.ok(["launch", "-c", "s", "-y", "-d", "sleep 1; echo went on"]);
  const { pid } = (await sky.registration())!;
  assertStringIncludes(await sky.ok(["api", "stop"]), "SkyPilot API server stopped.");
  await until(() => !isAlive(pid), { what: "the server to end" });
  assertEquals(await sky.registration(), undefined);
  assertStringIncludes(await sky.ok(["logs", "s", "1"]), ") went on\n");
});

Deno.test("state is private: directories 0700, files 0600, socket 0600", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["launch", "-c", "p", "-y", "echo x"]);
  const home = sky.env.SKY_HOME!;
  const mode = async (path: string) => (await Deno.lstat(path)).mode! & 0o777;
  assertEquals(await mode(home), 0o700);
  for (const file of ["sky.db", "server.json", "server.sock", "server.log"]) {
    assertEquals([file, (await mode(join(home, file))) & 0o077], [file, 0]);
  }
});

Deno.test("foreign Host and Origin headers are refused", async () => {
  await using sky = await TestSky.make();
  await sky.ok(["api", "start"]);
  const { url } = (await sky.registration())!;
  const origin = await fetch(`${url}/api/health`, { headers: { Origin: "http://evil.example" } });
  assert(origin.status >= 400, `Origin: ${origin.status}`);
  await origin.body?.cancel();
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(
    new TextEncoder().encode("GET /api/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
  );
  const reply = await new Response(connection.readable).text();
  assert(/^HTTP\/1\.1 4\d\d/.test(reply), reply);
});
