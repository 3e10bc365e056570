import { assertEquals, assertRejects } from "@std/assert";
import { zipSync } from "fflate";
import { join } from "@std/path";
import { HEADERS } from "../../api/wire.ts";
import { SkyError } from "../../core/errors.ts";
import { makeSky, ours, payload } from "./fake_server.ts";

const REMOTE = "~/.sky/api_server/clients/fcd1e5cf/sky_logs/c1/1-train";
const MEMBER = "srv/home/.sky/api_server/clients/fcd1e5cf/sky_logs/c1/1-train";

async function fetched(
  members: Record<string, Uint8Array>,
  work: (home: string, paths: Record<string, string>) => void,
) {
  const home = await Deno.makeTempDir({ prefix: "sky-test-" });
  try {
    const sky = makeSky((_request, url) => {
      if (url.pathname === "/download_logs") {
        const headers = { ...ours(), [HEADERS.finished]: "1" };
        return Response.json(payload({ return_value: JSON.stringify({ "1": REMOTE }) }), { headers });
      }
      assertEquals(url.pathname, "/download");
      return new Response(zipSync(members), { headers: { ...ours(), [HEADERS.homePath]: "/srv/home" } });
    }, { env: (name) => name === "HOME" ? home : undefined });
    work(home, await sky.fetchLogs({ cluster_name: "c1", job_ids: ["1"] }));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("fetchLogs unpacks the server's files below ~/sky_logs", async () => {
  const log = new TextEncoder().encode("hello\n".repeat(50_000));
  const members = { [`${MEMBER}/run.log`]: log, [`${MEMBER}/tasks/run.log`]: new Uint8Array() };
  await fetched(members, (home, paths) => {
    assertEquals(paths, { "1": join(home, "sky_logs/c1/1-train") });
    assertEquals(Deno.readFileSync(join(home, "sky_logs/c1/1-train/run.log")), log);
    assertEquals(Deno.statSync(join(home, "sky_logs/c1/1-train/tasks/run.log")).size, 0);
  });
});

Deno.test("fetchLogs writes nowhere else", async () => {
  for (const name of ["etc/passwd", `${MEMBER}/../../../evil`, `${MEMBER}-other/x`, "../evil"]) {
    const evil = { [name]: new Uint8Array([1]) };
    const error = await assertRejects(() => fetched(evil, () => {}), SkyError, "Invalid f");
    assertEquals(error.code, "internal");
  }
});
