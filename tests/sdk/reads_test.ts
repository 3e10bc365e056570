/** Reads to a server of ours: together, without requests, and the way back where they are not known. */
import { assertEquals, assertRejects } from "@std/assert";
import { encodeError } from "../../api/errors.ts";
import { READS_PATH } from "../../api/routes.ts";
import { HEADERS } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import { makeSky, ours, payload } from "./fake_server.ts";

interface Asked {
  readonly path: string;
  readonly names: string[];
}

/** A server; with `reads` false one that knows no reads. The first answer tells that it is ours. */
function server(options: { reads: boolean; answer?: (name: string) => unknown }) {
  const asked: Asked[] = [];
  const sky = makeSky(async (request, url) => {
    const body = request.method === "POST" ? await request.json() : {};
    const reads = (body.reads ?? []) as { name: string }[];
    asked.push({ path: url.pathname, names: reads.map(({ name }) => name) });
    if (url.pathname === "/api/health") {
      return Response.json({ status: "healthy", api_version: "53" }, { headers: ours() });
    }
    if (url.pathname === READS_PATH) {
      if (!options.reads) return Response.json({ detail: "Not Found" }, { status: 404, headers: ours() });
      return Response.json(
        reads.map(({ name }) => options.answer?.(name) ?? { value: name }),
        { headers: ours() },
      );
    }
    const headers = ours({ [HEADERS.requestId]: "id", [HEADERS.finished]: "1" });
    return Response.json(payload({ return_value: '"requested"' }), { headers });
  });
  return { sky, asked };
}

Deno.test("call: reads of one turn share an exchange, each gets its own answer or error", async () => {
  const error = { error: encodeError(new SkyError("invalid_config", "bad")) };
  const { sky, asked } = server({
    reads: true,
    answer: (name) => name === "sky.jobs.pool_status" ? error : undefined,
  });
  await sky.health();
  const failing = assertRejects(() => sky.call("pools", { pool_names: null }), SkyError, "bad");
  const answers = await Promise.all([sky.call("status", {}), sky.call("workspaces", {})]);
  await failing;
  assertEquals(answers as unknown[], ["sky.status", "sky.workspaces.get"]);
  assertEquals(asked.slice(1), [
    { path: READS_PATH, names: ["sky.jobs.pool_status", "sky.status", "sky.workspaces.get"] },
  ]);
});

Deno.test("call: what one caller gives up is not taken from another", async () => {
  const { sky, asked } = server({ reads: true });
  await sky.health();
  const leave = new AbortController();
  const left = sky.call("status", {}, { signal: leave.signal });
  const stays = sky.call("workspaces", {});
  leave.abort(new SkyError("aborted", "Aborted!"));
  await assertRejects(() => left, SkyError, "Aborted!");
  assertEquals(await stays as unknown, "sky.workspaces.get");
  assertEquals(asked.filter(({ path }) => path === READS_PATH).map(({ names }) => names.length).at(-1), 1);
});

Deno.test("call makes a request where the server is not known to be ours, knows no reads, or is to do more", async () => {
  const unknown = server({ reads: true });
  assertEquals(await unknown.sky.call("workspaces", {}) as unknown, "requested");
  assertEquals(unknown.asked.map(({ path }) => path), ["/workspaces"]);

  const old = server({ reads: false });
  await old.sky.health();
  assertEquals(await old.sky.call("workspaces", {}) as unknown, "requested");
  assertEquals(old.asked.slice(1).map(({ path }) => path), [READS_PATH, "/workspaces"]);

  const fresh = server({ reads: true });
  await fresh.sky.health();
  assertEquals(await fresh.sky.call("status", { refresh: "FORCE" }) as unknown, "requested");
  assertEquals(fresh.asked.slice(1).map(({ path }) => path), ["/status"]);
});
