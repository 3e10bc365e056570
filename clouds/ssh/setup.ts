/**
 * Pools as people see them: `sky check`, `sky ssh up|down`, tables of GPUs and hosts. Owns the words; asking hosts is
 * state.ts's.
 */
import { dirname } from "@std/path";
import { green } from "../../core/ansi.ts";
import { SkyError } from "../../core/errors.ts";
import { amount, plural } from "../../core/format.ts";
import { sshPoolsFile } from "../../core/paths.ts";
import { plainTable } from "../../core/table.ts";
import type { CheckResult, CloudContext, GpuSummary, PlaceNode } from "../cloud.ts";
import type { ResolvedPool } from "./hosts.ts";
import { claimsIn } from "./ledger.ts";
import { removeRemnants } from "./nodes.ts";
import { regionOf } from "./offers.ts";
import { freeOn } from "./placing.ts";
import { clustersIn, envOf, isPool, readPools, roomsOf, stateOf } from "./state.ts";

/** What was learned so recently needs no asking. */
const RECENT_MS = 5_000;
const FILE = "~/.sky/ssh_node_pools.yaml";

type Hosts = Awaited<ReturnType<typeof roomsOf>>;

export async function check(ctx: CloudContext): Promise<CheckResult> {
  const pools = await readPools(ctx);
  if (pools === null || pools.length === 0) {
    return {
      enabled: false,
      offers: [],
      reason: pools === null ? `${FILE} does not exist.` : `${FILE} has no pools.`,
      hint: `Write your machines into ${FILE}, then run: sky ssh up`,
      places: [],
    };
  }
  stateOf(ctx.folder).pools.forget();
  const places = await Promise.all(pools.map(async (pool) => {
    const hosts = await roomsOf(pool, ctx, { maxAgeMs: RECENT_MS, insist: true });
    const ready = hosts.filter(({ room }) => room.usable);
    const reasons = hosts.filter(({ room }) => !room.usable).map(reasonLine);
    return { name: pool.name, ok: ready.length > 0, reason: ready.length > 0 ? null : reasons.join("; ") };
  }));
  const enabled = places.some((place) => place.ok);
  return {
    enabled,
    offers: enabled ? ["compute"] : [],
    reason: enabled ? null : "no host of any SSH Node Pool can be used.",
    hint: enabled ? null : "For the state of every host, run: sky ssh up",
    places,
  };
}

function reasonLine({ room }: Hosts[number]): string {
  return `${room.host}: ${room.reason ?? "ready"}`;
}

async function wantedPools(place: string | null, ctx: CloudContext): Promise<readonly ResolvedPool[]> {
  stateOf(ctx.folder).pools.forget();
  const pools = await readPools(ctx);
  if (pools === null) {
    const path = sshPoolsFile(envOf(ctx));
    throw new SkyError("file_not_found", `There are no SSH Node Pools: ${path} does not exist`, {
      hint: `mkdir -p ${dirname(path)}, then write your pools there, or run: sky ssh up -f FILE`,
    });
  }
  const wanted = pools.filter(({ name }) => isPool(name, place));
  if (wanted.length > 0) return wanted;
  const names = pools.map(({ name }) => name).join(", ");
  throw new SkyError(
    "invalid_argument",
    place === null
      ? `There are no SSH Node Pools in ${FILE}`
      : `SSH Node Pool '${place}' not found in ${FILE} (there are: ${names})`,
  );
}

/** Reach every host and show what each has. Throws network if none of a pool answers. */
export async function setUp(place: string | null, ctx: CloudContext): Promise<void> {
  const pools = await wantedPools(place, ctx);
  const names = pools.map(({ name }) => name).join(", ");
  ctx.log.line(`Found ${pools.length} Node Pool${pools.length === 1 ? "" : "s"}: ${names}`);
  const dead: string[] = [];
  for (const pool of pools) {
    ctx.log.line(`➜ SSH Node Pool '${pool.name}': reaching ${plural(pool.hosts.length, "host")}`);
    const hosts = await roomsOf(pool, ctx, { maxAgeMs: -1, insist: true });
    await Promise.all(hosts.map(({ host, room }) => room.usable ? removeRemnants(host, ctx) : undefined));
    for (const line of hostTable(hosts).split("\n")) ctx.log.line(line);
    const lost = hosts.filter(({ room }) => !room.usable);
    for (const one of lost) ctx.log.line(`  ${reasonLine(one)}`);
    const ready = hosts.length - lost.length;
    const text = `SSH Node Pool '${pool.name}': ${ready} of ${plural(hosts.length, "host")} ready`;
    if (ready > 0) ctx.log.line(`${green("✔")} ${text}`);
    else {
      ctx.log.line(`✗ ${text}`);
      dead.push(pool.name);
    }
  }
  if (dead.length > 0) {
    const which = dead.map((name) => `'${name}'`).join(", ");
    throw new SkyError("network", `No host of SSH Node Pool ${which} can be used`, {
      hint: "The reason stands beside every host above; mend it and run again: sky ssh up",
    });
  }
  ctx.log.line(
    `${green("✓")} 🎉 SSH Node Pools set up successfully. Run \`sky check ssh\` to verify access, ` +
      "`sky launch --infra ssh` to launch a cluster.",
  );
}

function hostTable(hosts: Hosts): string {
  return plainTable(
    ["HOST", "STATUS", "vCPUs", "MEM(GB)", "GPUS", "DISK FREE(GB)", "TOOLS"],
    hosts.map(({ room, known }) => {
      const facts = room.usable ? known?.facts ?? null : null;
      if (facts === null) return [room.host, "not ready", "-", "-", "-", "-", "-"];
      const gpus = Map.groupBy(facts.gpus, (gpu) => gpu.name);
      return [
        room.host,
        "ready",
        amount(facts.cpus),
        amount(facts.memoryGb),
        [...gpus].map(([name, list]) => `${name}:${list.length}`).join(", ") || "-",
        facts.diskFreeGb === null ? "-" : amount(Math.floor(facts.diskFreeGb)),
        facts.tools.join(" ") || "-",
      ];
    }),
  );
}

/** Let go of pools: nothing of ours stays on their hosts. Throws not_supported while clusters are there. */
export async function tearDown(place: string | null, ctx: CloudContext): Promise<void> {
  const pools = await wantedPools(place, ctx);
  const names = pools.map(({ name }) => name).join(", ");
  ctx.log.line(`Found ${pools.length} Node Pool${pools.length === 1 ? "" : "s"}: ${names}`);
  for (const pool of pools) {
    const clusters = await clustersIn(pool.name, ctx.folder);
    if (clusters.length > 0) {
      throw new SkyError(
        "not_supported",
        `Cannot let go of SSH Node Pool '${pool.name}': clusters are there (${clusters.join(", ")})`,
        { hint: "Take them down first: sky down" },
      );
    }
  }
  for (const pool of pools) {
    ctx.log.line(`➜ SSH Node Pool '${pool.name}'`);
    const hosts = await roomsOf(pool, ctx, { asIs: true });
    await Promise.all(hosts.map(({ host, room }) => room.usable ? removeRemnants(host, ctx) : undefined));
    ctx.log.line(`${green("✔")} SSH Node Pool '${pool.name}' let go`);
  }
  ctx.log.line(`${green("✓")} 🎉 SSH Node Pools cleaned up successfully.`);
}

async function allHosts(ctx: CloudContext): Promise<{ pool: string; hosts: Hosts }[]> {
  const pools = await readPools(ctx) ?? [];
  return await Promise.all(
    pools.map(async (pool) => ({ pool: pool.name, hosts: await roomsOf(pool, ctx, { asIs: true }) })),
  );
}

export async function gpus(ctx: CloudContext): Promise<readonly GpuSummary[]> {
  const claims = await claimsIn(ctx.folder);
  return (await allHosts(ctx)).flatMap(({ pool, hosts }) => {
    const rooms = hosts.map(({ room }) => room);
    const names = [...new Set(rooms.flatMap((room) => room.gpus.map((gpu) => gpu.name)))].sort();
    return names.map((gpu): GpuSummary => {
      const count = (list: readonly { name: string }[]) => list.filter(({ name }) => name === gpu).length;
      const ready = rooms.filter((room) => room.usable);
      return {
        place: regionOf(pool),
        gpu,
        perNode: rooms.map((room) => count(room.gpus)).filter((n) => n > 0),
        total: rooms.reduce((sum, room) => sum + count(room.gpus), 0),
        free: ready.reduce((sum, room) => sum + count(freeOn(room, claims).gpus), 0),
      };
    });
  });
}

export async function nodes(ctx: CloudContext): Promise<readonly PlaceNode[]> {
  const claims = await claimsIn(ctx.folder);
  return (await allHosts(ctx)).flatMap(({ pool, hosts }) =>
    hosts.map(({ room, host, known }): PlaceNode => {
      const facts = known?.facts ?? null;
      const free = freeOn(room, claims);
      return {
        place: regionOf(pool),
        name: room.host,
        ip: facts?.ip ?? host.address,
        cpus: facts?.cpus ?? null,
        cpusFree: facts === null ? null : Math.max(0, Math.round(free.cpus * 10) / 10),
        memoryGb: facts?.memoryGb ?? null,
        memoryFreeGb: facts === null ? null : Math.max(0, Math.round(free.memoryGb * 10) / 10),
        gpu: facts?.gpus[0]?.name ?? null,
        gpus: facts?.gpus.length ?? 0,
        gpusFree: free.gpus.length,
        ready: room.usable,
      };
    })
  );
}
