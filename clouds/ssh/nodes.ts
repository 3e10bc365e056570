/** Acts on one node of a cluster: make, look, stop, end. Owns reading the answers; the texts are node_texts.ts's. */
import { describe, SkyError } from "../../core/errors.ts";
import type { CloudContext, NodeState, RunResult } from "../cloud.ts";
import type { SshHost } from "../transport/ssh/mod.ts";
import type { SshHandle, SshNode } from "./handle.ts";
import { nodeOf } from "./handle.ts";
import type { PoolHost } from "./hosts.ts";
import { type Claim, claimsOf, dropRemnants, remnantsOn } from "./ledger.ts";
import { END_NODE, homeOf, LOOK, MAKE_NODE, STOP_NODE, type Where } from "./node_texts.ts";
import { findPool, onHost, serverId, stateOf } from "./state.ts";

/** Between TERM and KILL of what runs on a node that is stopped or ended. */
const GRACE_S = "3.00";
/** Ending: a grace and ten seconds of proof per unfinished job, and a home of any size to remove. */
const END_MS = 300_000;

/** Somewhere a node is, or may be. */
export interface Place {
  readonly index: number;
  readonly machine: string;
  readonly ssh: SshHost;
  readonly node: SshNode | null;
}

export async function whereOf(nameOnCloud: string, index: number, ctx: CloudContext): Promise<Where> {
  return [await serverId(stateOf(ctx.folder)), nameOnCloud, String(index)];
}

/** Make a node's home, or complete it. Throws network, permission_denied, command_failed, disk_full. */
export async function makeNode(host: PoolHost, claim: Claim, ctx: CloudContext): Promise<SshNode> {
  await removeRemnants(host, ctx);
  const where = await whereOf(claim.cluster, claim.node, ctx);
  const { stdout, stderr, code } = await onHost(host, MAKE_NODE, { args: where, ctx });
  const told = new Map(
    stdout.split("\n").map((line) => {
      const at = line.indexOf("=");
      return at < 0 ? [line, ""] as const : [line.slice(0, at), line.slice(at + 1)] as const;
    }),
  );
  const login = told.get("home") ?? "";
  // deno-lint-ignore no-control-regex -- these are what is looked for
  if (code !== 0 || !told.has("made") || !/^\/[^\x00-\x1f\x7f]*$/.test(login)) {
    throw failure(`Cannot make a node on host '${host.name}'`, { code, stderr, stdout });
  }
  const user = told.get("user") ?? "";
  const ip = told.get("connection")?.split(" ")[2]?.replace(/%.*$/, "") ?? "";
  return nodeOf(host, claim, {
    login,
    home: homeOf(login, where),
    user: /^[A-Za-z0-9_.][A-Za-z0-9_.@\\+-]*\$?$/.test(user) ? user : "",
    ip: /^[0-9a-fA-F.:]+$/.test(ip) ? ip : null,
  });
}

function failure(what: string, { code, stderr, stdout }: RunResult): SkyError {
  const said = (stderr.trim() || stdout.trim()).split("\n").at(-1)?.slice(0, 300) ?? "";
  const full = /No space left|Disk quota/i.test(stderr);
  const why = full ? "no space left on its disk" : said === "" ? `exit code ${code}` : said;
  // A full disk of a host is the host's trouble, not ours: another may do better.
  return new SkyError("command_failed", `${what}: ${why}`);
}

/** What clusters that were forgotten without it have left on a host; one of the same name must not inherit it. */
export async function removeRemnants(host: PoolHost, ctx: CloudContext): Promise<void> {
  const left = await remnantsOn(ctx.folder, host.machine);
  for (const remnant of left) await endAt(host, remnant, ctx);
  await dropRemnants(ctx.folder, left);
}

/** Where a cluster's nodes are, by its handle or, while that knows none, by the ledger. */
export async function placesOf(handle: SshHandle, ctx: CloudContext): Promise<Place[]> {
  const pool = await findPool(handle.pool, ctx).catch(() => null); // A broken file must not lose clusters.
  const current = (machine: string) => pool?.hosts.find((host) => host.machine === machine)?.ssh ?? null;
  if (handle.nodes !== null) {
    return handle.nodes.map((node, index) => {
      const ssh = current(node.machine) ?? node.ssh;
      return { index, machine: node.machine, ssh, node };
    });
  }
  return (await claimsOf(ctx.folder, handle.nameOnCloud)).map((claim) => {
    const ssh = current(claim.machine);
    if (ssh === null) {
      throw new SkyError(
        "network",
        `Cannot reach host '${claim.host}' of cluster '${handle.clusterName}': it is no longer in pool ` +
          `'${handle.pool}' of ~/.sky/ssh_node_pools.yaml`,
        { hint: `sky down --purge ${handle.clusterName}` },
      );
    }
    return { index: claim.node, machine: claim.machine, ssh, node: null };
  });
}

export async function lookAt(
  place: Place,
  nameOnCloud: string,
  ctx: CloudContext,
): Promise<{ state: NodeState; reason: string | null }> {
  try {
    const where = await whereOf(nameOnCloud, place.index, ctx);
    const { code, stdout, stderr } = await onHost(place, LOOK, { args: where, ctx });
    const word = stdout.trim();
    if (code === 0 && (word === "up" || word === "stopped" || word === "gone")) {
      return { state: word, reason: null };
    }
    const reason = word === "partial" ? "its home was made only in part" : stderr.trim().slice(0, 200);
    return { state: "unknown", reason: `${place.ssh.name}: ${reason}` };
  } catch (error) {
    ctx.signal.throwIfAborted();
    // Refused, e.g. since its key has changed: somebody has to do something, waiting for it is no use.
    if (!(error instanceof SkyError) || error.code === "permission_denied") throw error;
    return { state: "unknown", reason: describe(error) };
  }
}

export async function stopAt(place: Place, nameOnCloud: string, ctx: CloudContext): Promise<void> {
  const args = [...await whereOf(nameOnCloud, place.index, ctx), GRACE_S];
  const result = await onHost(place, STOP_NODE, { args, timeoutMs: END_MS, ctx });
  const word = result.stdout.trim();
  if (result.code === 0 && (word === "stopped" || word === "gone")) return;
  throw failure(`Cannot stop the node on host '${place.ssh.name}'`, result);
}

/** Nothing of the node is left. Fine if nothing was. */
export async function endAt(
  at: Pick<Place, "machine" | "ssh">,
  node: { readonly cluster: string; readonly node: number },
  ctx: CloudContext,
): Promise<void> {
  const args = [...await whereOf(node.cluster, node.node, ctx), GRACE_S];
  const result = await onHost(at, END_NODE, { args, timeoutMs: END_MS, ctx });
  if (result.code === 0 && result.stdout.trim() === "gone") return;
  throw failure(`Cannot remove the node on host '${at.ssh.name}'`, result);
}
