/**
 * Making a cluster's nodes in a pool: claims first, then the hosts, another host where one fails. Owns how long hosts
 * that went away meanwhile are waited for, when there is no other.
 */
import { delay } from "@std/async/delay";
import type { Handle } from "../../core/cluster.ts";
import { describe, isSkyError, SkyError } from "../../core/errors.ts";
import type { CloudContext, ProvisionSpec } from "../cloud.ts";
import { prepare, readHandle, type SshNode } from "./handle.ts";
import type { PoolHost, ResolvedPool } from "./hosts.ts";
import { type Claim, claim, release } from "./ledger.ts";
import { makeNode } from "./nodes.ts";
import { findPool, isUnreachable, probeHost, roomsOf } from "./state.ts";

/** A host that was there when it was chosen may come back. */
const AWAY_MS = 180_000;
const PAUSE_MS = 2_000;

/** As Cloud.provision says. */
export async function provision(spec: ProvisionSpec, ctx: CloudContext): Promise<Handle> {
  const handle = prepare(spec);
  const before = spec.previous === null ? null : readHandle(spec.previous).nodes;
  const pool = await findPool(handle.pool, ctx);
  if (pool === null) {
    throw new SkyError("resources_unavailable", `There is no SSH Node Pool '${handle.pool}' any more`, {
      hint: "sky check ssh",
    });
  }
  const away = new Away(pool, ctx);
  for (;;) {
    const rooms = await roomsOf(pool, ctx);
    const wish = { ...handle, cluster: handle.nameOnCloud };
    let claims: Claim[];
    try {
      claims = await claim(ctx.folder, wish, rooms.map(({ room }) => room));
    } catch (error) {
      if (!isSkyError(error, "resources_unavailable") || !await away.isBack()) throw error;
      continue;
    }
    const made = await Promise.all(claims.map(async (each): Promise<Made> => {
      const host = rooms.find(({ room }) => room.machine === each.machine)?.host;
      if (host === undefined) return { each, error: missing(each) };
      try {
        return { each, node: await makeNode(host, each, ctx) };
      } catch (error) {
        ctx.signal.throwIfAborted();
        return { each, host, error };
      }
    }));
    const failed = made.filter((one) => one.error !== undefined);
    if (failed.length === 0) return { ...handle, nodes: made.map(({ node }) => node!) };
    // A node that was up before has its data there: only a new one may go elsewhere.
    const stuck = failed.find(({ each, error }) =>
      before?.[each.node] !== undefined || !isUnreachable(error)
    );
    if (stuck !== undefined) throw stuck.error;
    for (const { host, error } of failed) {
      ctx.log.line(`Trying another host: ${describe(error)}`);
      if (host !== undefined) away.add(host, error);
    }
    await release(ctx.folder, handle.nameOnCloud, {
      nodes: failed.map(({ each }) => each.node),
      remnant: true,
    });
    if (away.isOver) throw failed[0]!.error;
  }
}

interface Made {
  readonly each: Claim;
  readonly host?: PoolHost;
  readonly node?: SshNode;
  readonly error?: unknown;
}

function missing(claim: Claim): SkyError {
  return new SkyError(
    "resources_unavailable",
    `Host '${claim.host}' is no longer in SSH Node Pool '${claim.pool}', and a node of the cluster is there`,
    { hint: "Put it back into ~/.sky/ssh_node_pools.yaml" },
  );
}

/** Hosts that went away while nodes were made on them. */
class Away {
  readonly #pool: ResolvedPool;
  readonly #ctx: CloudContext;
  readonly #hosts = new Set<PoolHost>();
  #giveUpAt: number | null = null;
  #said = false;

  constructor(pool: ResolvedPool, ctx: CloudContext) {
    this.#pool = pool;
    this.#ctx = ctx;
  }

  /** Nothing is waited for any more. */
  get isOver(): boolean {
    return this.#giveUpAt !== null && performance.now() >= this.#giveUpAt;
  }

  /** One that does not let us in is not waited for. */
  add(host: PoolHost, error: unknown): void {
    this.#giveUpAt ??= performance.now() + AWAY_MS;
    if (!isSkyError(error, "permission_denied")) this.#hosts.add(host);
  }

  /** Waits until one answers again; false if none does so in time, or none is away. */
  async isBack(): Promise<boolean> {
    if (this.#hosts.size === 0) return false;
    const { signal, log } = this.#ctx;
    const names = [...this.#hosts].map(({ name }) => `'${name}'`).join(", ");
    if (!this.#said) {
      this.#said = true;
      log.line(`There is no other host in pool '${this.#pool.name}' now. Waiting for ${names} to come back.`);
    }
    while (!this.isOver) {
      await delay(PAUSE_MS, { signal });
      for (const host of this.#hosts) {
        const { failure } = await probeHost(host, this.#ctx);
        if (failure !== null) continue;
        this.#hosts.delete(host);
        return true;
      }
    }
    return false;
  }
}
