/** The conformance suite on this machine. */
import { join } from "@std/path";
import { local } from "../../../clouds/local/mod.ts";
import { isAlive } from "../../support/sky.ts";
import { type Site, testConformance } from "../conformance.ts";

function siteIn(folder: string): Site {
  const nodes = join(folder, "home", "nodes");
  return {
    cloud: local,
    infra: "local",
    cut: () => Promise.reject(new Error("Nothing lies between this machine and itself")),
    heal: () => Promise.resolve(),
    async leftovers() {
      return [...await processesBelow(nodes), ...await filesBelow(nodes)];
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Processes whose environment names a directory of the nodes. */
async function processesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // It ended meanwhile, or belongs to another user: not ours.
    const environ = await Deno.readTextFile(`/proc/${name}/environ`).catch(() => "");
    if (environ.includes(`=${folder}/`) && isAlive(Number(name))) found.push(`process ${name}`);
  }
  return found;
}

/** Directories of clusters, and what is claimed in the books of addresses and GPUs, which stay. */
async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.startsWith(".")) found.push(name);
      else for await (const claim of Deno.readDir(join(folder, name))) found.push(join(name, claim.name));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}

testConformance(
  { name: "local", gives: true, canBeCut: false, open: (folder) => Promise.resolve(siteIn(folder)) },
  local,
);
