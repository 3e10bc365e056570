/** The ledger: parallel claims, exact release, GPUs, ports, stopped nodes. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  claim,
  claimsIn,
  type ClaimWish,
  dropRemnants,
  release,
  remnantsOn,
} from "../../../clouds/ssh/ledger.ts";
import type { HostRoom } from "../../../clouds/ssh/placing.ts";
import { SkyError } from "../../../core/errors.ts";

function host(n: number, more: Partial<HostRoom> = {}): HostRoom {
  const gpus = Array.from({ length: 8 }, (_, index) => ({ index, name: "H100", memoryMib: 81_000 }));
  return {
    machine: `m${n}`,
    host: `h${n}`,
    cpus: 16,
    memoryGb: 64,
    gpus,
    usable: true,
    reason: null,
    ...more,
  };
}

function wish(cluster: string, more: Partial<ClaimWish> = {}): ClaimWish {
  return { cluster, pool: "p", numNodes: 1, cpus: 2, memoryGb: 4, gpu: null, ports: [], ...more };
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A small generator with a seed, so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    return state / 2 ** 32;
  };
}

Deno.test("claim and release under 50 parallel clusters never give anything away twice", () =>
  withFolder(async (folder) => {
    const hosts = [1, 2, 3, 4].map((n) => host(n));
    const next = random(7);
    const pick = (n: number) => Math.floor(next() * n);
    const checkBooks = async () => {
      const claims = (await claimsIn(folder)).filter((one) => !one.stopped);
      for (const { machine, cpus, memoryGb, gpus } of hosts) {
        const here = claims.filter((one) => one.machine === machine);
        assert(here.reduce((sum, one) => sum + one.cpus, 0) <= cpus);
        assert(here.reduce((sum, one) => sum + one.memoryGb, 0) <= memoryGb);
        const given = here.flatMap((one) => one.gpus);
        assertEquals(new Set(given).size, given.length);
        assert(given.every((index) => gpus.some((gpu) => gpu.index === index)));
        const ports = here.flatMap((one) => one.ports);
        assertEquals(new Set(ports).size, ports.length);
        assertEquals(new Set(here.map((one) => one.cluster)).size, here.length);
      }
    };
    let won = 0;
    await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      for (let round = 0; round < 3; round++) {
        const gpu = pick(2) === 0 ? null : { name: "H100", count: 1 + pick(4) };
        const asked = wish(`c${i}`, {
          numNodes: 1 + pick(3),
          cpus: 1 + pick(6),
          memoryGb: 1 + pick(20),
          gpu,
          ports: pick(4) === 0 ? [8000 + pick(3)] : [],
        });
        try {
          const claims = await claim(folder, asked, hosts);
          won++;
          assertEquals(claims.map((one) => one.node), [...Array(asked.numNodes).keys()]);
          for (const one of claims) assertEquals(one.gpus.length, gpu?.count ?? 0);
          // The same again: a launch that is repeated gets what it has.
          assertEquals(await claim(folder, asked, hosts), claims);
        } catch (error) {
          assert(error instanceof SkyError && error.code === "resources_unavailable");
        }
        await checkBooks();
        const end = pick(3);
        if (end === 0) await release(folder, `c${i}`, { keepPlace: true });
        else await release(folder, `c${i}`);
        await checkBooks();
      }
      await release(folder, `c${i}`);
    }));
    assert(won > 20);
    assertEquals(await claimsIn(folder), []);
  }));

Deno.test("claim spreads nodes over machines, and says what is free where when it can't", () =>
  withFolder(async (folder) => {
    // The second host is the first under another name.
    const hosts = [host(1), host(1, { host: "again" }), host(2, { cpus: 4 })];
    const claims = await claim(folder, wish("a", { numNodes: 2 }), hosts);
    assertEquals(claims.map((one) => one.machine), ["m2", "m1"]);
    const error = await assertRejects(
      () =>
        claim(folder, wish("b", { numNodes: 2, cpus: 3 }), [
          ...hosts,
          host(3, { usable: false, reason: "off" }),
        ]),
      SkyError,
    );
    assertStringIncludes(error.message, "The SSH Node Pool may not have enough resources.");
    assertStringIncludes(error.message, "h2: 2 CPUs free");
    assertStringIncludes(error.message, "h3: off");
    assertEquals((await claimsIn(folder)).length, 2);
  }));

Deno.test("release keeps the place of a stopped node, which gets its host again", () =>
  withFolder(async (folder) => {
    const hosts = [host(1), host(2)];
    const gpu = { name: "H100", count: 8 };
    const [first] = await claim(folder, wish("a", { gpu }), hosts);
    await release(folder, "a", { keepPlace: true });
    await claim(folder, wish("b", { gpu }), hosts.filter((each) => each.machine === first!.machine));
    const error = await assertRejects(() => claim(folder, wish("a", { gpu }), hosts), SkyError);
    assertStringIncludes(error.message, `${first!.host}: 0 H100 free`);
    await release(folder, "b");
    assertEquals(await claim(folder, wish("a", { gpu }), hosts), [first!]);
    const gone = { cluster: "a", node: 0, machine: first!.machine };
    await release(folder, "a", { remnant: true });
    assertEquals(await remnantsOn(folder, first!.machine), [gone]);
    await dropRemnants(folder, [gone]);
    assertEquals(await remnantsOn(folder, first!.machine), []);
  }));

Deno.test("claim refuses to guess at a damaged ledger", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/ledger.json`, "{");
    await assertRejects(() => claim(folder, wish("a"), [host(1)]), SkyError, "is damaged");
  }));
