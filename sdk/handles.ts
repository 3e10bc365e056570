/** Handles and resources of official servers are pickles: here they become the JSON forms (wire.md §14.4, §14.9). */
import type { WireHandle } from "../api/clusters.ts";
import { fromBase64 } from "../api/pickle.ts";
import { loadPickle, type PickledObject } from "../api/unpickle.ts";

/** The result of a request with every pickle in it replaced by plain JSON. */
export function plainResult(name: string, value: unknown): unknown {
  switch (name) {
    case "sky.launch":
    case "sky.exec":
      return withPlain(value, "handle", plainHandle);
    case "sky.start":
      return plainHandle(value);
    case "sky.status":
      return Array.isArray(value) ? value.map((row) => withPlain(row, "handle", plainHandle)) : value;
    case "sky.cost_report":
      return Array.isArray(value) ? value.map((row) => withPlain(row, "resources", plainResources)) : value;
    default:
      return value;
  }
}

function withPlain(row: unknown, key: string, convert: (value: unknown) => unknown): unknown {
  if (row === null || typeof row !== "object" || !Object.hasOwn(row, key)) return row;
  const value = (row as Record<string, unknown>)[key];
  return typeof value === "string" ? { ...row, [key]: convert(value) } : row;
}

/** A handle in any form of wire.md §14.4 as JSON; null for none. Throws internal for a broken pickle. */
export function plainHandle(value: unknown): WireHandle | null {
  if (typeof value !== "string") return value as WireHandle | null;
  const state = stateOf(loadPickle(fromBase64(value)));
  if (state === null) return null;
  const info = stateOf(state["cached_cluster_info"]);
  return {
    cluster_name: text(state["cluster_name"]) ?? "",
    cluster_name_on_cloud: text(state["cluster_name_on_cloud"]) ?? "",
    cluster_yaml: null,
    launched_nodes: typeof state["launched_nodes"] === "number" ? state["launched_nodes"] : 0,
    launched_resources: plainResources(state["launched_resources"]) ?? {},
    stable_internal_external_ips: pairs(state["stable_internal_external_ips"]),
    stable_ssh_ports: Array.isArray(state["stable_ssh_ports"]) ? state["stable_ssh_ports"].map(Number) : null,
    docker_user: null,
    is_grpc_enabled: state["is_grpc_enabled"] === true,
    ssh_user: text(info?.["ssh_user"]),
  };
}

function plainResources(value: unknown): Record<string, unknown> | null {
  const object = typeof value === "string" ? loadPickle(fromBase64(value)) : value;
  const state = stateOf(object);
  if (state === null) return null;
  const cloud = state["_cloud"];
  const name = cloud !== null && typeof cloud === "object" && "class" in cloud
    ? String((cloud as PickledObject).class).split(".").at(-1)?.toLowerCase()
    : undefined;
  const plain: Record<string, unknown> = {};
  const infra = [name, text(state["_region"]), text(state["_zone"])].filter((part) => part);
  if (infra.length > 0) plain["infra"] = infra.join("/");
  for (
    const key of [
      "instance_type",
      "cpus",
      "memory",
      "accelerators",
      "use_spot",
      "disk_size",
      "ports",
      "labels",
    ]
  ) {
    const item = state[`_${key}`];
    if (item !== null && item !== undefined) plain[key] = item;
  }
  return plain;
}

function stateOf(value: unknown): Record<string, unknown> | null {
  if (value === null || typeof value !== "object" || !("state" in value)) return null;
  const state = (value as PickledObject).state;
  return state !== null && typeof state === "object" ? state as Record<string, unknown> : null;
}

function pairs(value: unknown): [string, string][] | null {
  if (!Array.isArray(value)) return null;
  return value.map((pair): [string, string] => [String(pair?.[0]), String(pair?.[1])]);
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
