/** Every question that our server answers is in a golden record, or here with the reason why it isn't (issue 4 §3). */
import { assertEquals } from "@std/assert";
import { operations } from "../../api/operations.ts";
import { makeRig } from "../server/rig.ts";
import { readGolden } from "../support/golden.ts";

const OURS = "ours alone: official clients don't know it, and our client asks it of our own servers only";
const LEGACY = "only clients older than the recorded one ask it";
const DASHBOARD = "only the dashboard asks it; tests/server has its tests";
const ONE_POOL = "the same operation as without a pool in its path, which is recorded";

const EXCUSES: Readonly<Record<string, string>> = {
  "POST /api/reads": OURS,
  "POST /upload": LEGACY,
  "POST /users/service-account-tokens": `${DASHBOARD}. The answer is a secret`,
  "POST /users/service-account-tokens/delete": DASHBOARD,
  "POST /ssh_node_pools": DASHBOARD,
  "POST /ssh_node_pools/keys": `${DASHBOARD}. What is sent is a secret`,
  "DELETE /ssh_node_pools/:pool": DASHBOARD,
  "POST /ssh_node_pools/:pool/deploy": ONE_POOL,
  "POST /ssh_node_pools/:pool/down": ONE_POOL,
  "GET /slurm_node_info": "the same operation as by POST, which is recorded; tests/server has its test",
};

Deno.test("every route has a golden exchange or an excuse", async () => {
  const goldens = [await readGolden("official_client"), await readGolden("our_client")];
  const asked = goldens.flatMap((golden) => golden.conversations).flatMap(({ exchanges }) => exchanges)
    .map(({ method, path }) => `${method} ${path.replace(/\?.*/, "")}`);
  await using rig = await makeRig();
  const routes = new Set([
    ...rig.http.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) =>
      `${method} ${path}`
    ),
    ...Object.values(operations).map(({ method, path }) => `${method} ${path}`),
  ]);
  const covered = (route: string) => {
    const words = route.split(/:\w+/).map((part) => RegExp.escape(part));
    const pattern = new RegExp(`^${words.join("[^/]+")}$`);
    return asked.some((question) => pattern.test(question));
  };
  const missing = [...routes].filter((route) => !covered(route) && EXCUSES[route] === undefined);
  assertEquals(missing, [], "neither recorded (scripts/record_wire.ts) nor excused");
  const needless = Object.keys(EXCUSES).filter((route) => !routes.has(route) || covered(route));
  assertEquals(needless, [], "an excuse that isn't needed");
});
