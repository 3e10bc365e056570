import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { HEADERS } from "../../api/wire.ts";
import * as sky from "../../sdk/mod.ts";
import { framed, framesBody, makeSky, ours, payload, Shown } from "./fake_server.ts";

const ID = "33333333-3333-4333-8333-333333333333";

Deno.test("the door's functions ask the shared connection", async () => {
  const asked: [string, Record<string, unknown>][] = [];
  const client = makeSky(async (request, url) => {
    if (url.pathname === "/api/stream") {
      const bytes = new TextEncoder().encode("launching\n");
      return framed(framesBody([
        { kind: "data", offset: 0, bytes },
        { kind: "end", offset: bytes.length, status: "SUCCEEDED", exitCode: null },
      ]));
    }
    if (url.pathname === "/api/get") {
      return Response.json(payload({ name: "sky.launch", return_value: '{"job_id":1,"handle":null}' }), {
        headers: ours(),
      });
    }
    const body = await request.json();
    asked.push([url.pathname, body]);
    if (url.pathname === "/logs") {
      return framed(framesBody([{ kind: "end", offset: 0, status: "SUCCEEDED", exitCode: 103 }]));
    }
    const finished = request.headers.get("X-Sky-Wait") === "1";
    const headers = { ...ours(), [HEADERS.requestId]: ID, ...(finished ? { [HEADERS.finished]: "1" } : {}) };
    return Response.json(finished ? payload({ return_value: '["a"]' }) : null, { headers });
  }, { remote: false });
  sky.useConnection(client);
  try {
    const task = sky.Task({
      name: "hello",
      run: "echo hello",
      workdir: "src",
      resources: sky.Resources({ cpus: 2 }),
    });
    const id = await sky.launch(task, { down: true, idleMinutes: 5 });
    assertEquals(id, ID);
    const shown = new Shown();
    assertEquals(await sky.streamAndGet(id, shown), { job_id: 1, handle: null });
    assertEquals(shown.text, "launching\n");
    assertEquals(await sky.tailLogs("c1", 1, { sink: shown }), 103);
    assertEquals(await sky.apiCancel("all"), ["a"]);
    await sky.exec(task, { clusterName: "c1" });
    await sky.start("c1");
    await sky.stop("c1");
    await sky.down("c1", { purge: true });
    await sky.autostop("c1", 10, { waitFor: "jobs" });
    await sky.status(["c*"]);
    await sky.queue("c1");
    await sky.jobStatus("c1", [1]);
    await sky.cancel("c1", { jobIds: [2] });
    await sky.costReport();
  } finally {
    await sky.close();
  }
  const [, launched] = asked[0] ?? [];
  assertMatch(String(launched?.["cluster_name"]), /^sky-[0-9a-f]{4}-alice$/);
  assertEquals([launched?.["down"], launched?.["idle_minutes_to_autostop"]], [true, 5]);
  const [parsed] = sky.parseDag(String(launched?.["task"])).tasks;
  assertEquals([parsed?.name, parsed?.run, parsed?.workdir], [
    "hello",
    "echo hello",
    join(Deno.cwd(), "src"),
  ]);
  assertEquals(asked.map(([path]) => path), [
    "/launch",
    "/logs",
    "/api/cancel",
    "/exec",
    "/start",
    "/stop",
    "/down",
    "/autostop",
    "/status",
    "/queue",
    "/job_status",
    "/cancel",
    "/cost_report",
  ]);
  assertEquals([asked[2]?.[1]["request_ids"], asked[2]?.[1]["user_id"]], [null, "fcd1e5cf"]);
});
