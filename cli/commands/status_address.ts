/** `sky status --ip`, `--endpoints` and `--endpoint` (cli.md §3.3): for scripts, so the value and nothing else. */
import type { ClusterView } from "../../api/clusters.ts";
import { SkyError } from "../../core/errors.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Io } from "../command.ts";
import { ask } from "../follow.ts";
import type { AddressMode } from "./address_mode.ts";
import { findClusters } from "./find_clusters.ts";
import { headIp } from "./status_table.ts";

export async function showAddress(io: Io, mode: AddressMode, names: readonly string[]): Promise<number> {
  const { out } = io;
  const wrong = (start: string) =>
    new SkyError("invalid_argument", `${start} to show ${noun(mode)}.\n${usageOf(mode)}`);
  if (names.length === 0) throw wrong("No cluster specified. Please specify an existing cluster");
  const several = (count: number) => wrong(`${count} clusters specified. Please specify a single cluster`);
  if (names.length > 1) throw several(names.length);
  const sky = await io.sky();
  const found = await findClusters(io, sky, { names, allUsers: true, say: () => {} });
  if (found.length > 1) throw several(found.length);
  const [cluster] = found;
  if (cluster === undefined) throw wrong(`'${names[0]}' cluster not found. Please specify a single cluster`);
  // RuntimeError, as scripts know it.
  if (cluster.status !== "UP") {
    throw new SkyError("internal", `Cluster '${cluster.name}' is not in UP status.`);
  }
  if (mode === "ip") out.line(ipOf(cluster));
  else await showEndpoints(io, sky, { cluster, mode });
  return 0;
}

function noun(mode: AddressMode): string {
  return mode === "ip" ? "its IP address" : "its endpoint(s)";
}

function usageOf(mode: AddressMode): string {
  const options = mode === "ip" ? "--ip" : mode === "endpoints" ? "--endpoints" : "--endpoint port";
  return `Usage: \`sky status ${options} <cluster>\``;
}

function ipOf(cluster: ClusterView): string {
  const ip = headIp(cluster);
  if (ip !== null) return ip;
  throw new SkyError(
    "internal",
    `Cannot show the IP address of cluster '${cluster.name}': the server knows none`,
  );
}

async function showEndpoints(
  io: Io,
  sky: Sky,
  { cluster, mode }: { cluster: ClusterView; mode: Exclude<AddressMode, "ip"> },
): Promise<void> {
  const { out } = io;
  out.spinner(`[bold cyan]Fetching endpoints for cluster ${cluster.name}[/]`);
  const port = mode === "endpoints" ? null : mode.port;
  const endpoints = await ask(io, sky, "endpoints", { cluster: cluster.name, port });
  out.spinner(null);
  if (port !== null) {
    const url = endpoints[String(port)];
    if (url !== undefined) return out.line(url);
    throw new SkyError("invalid_argument", `Endpoint ${port} not found for cluster '${cluster.name}'.`);
  }
  const { blue, bold, cyan } = out.style;
  for (const [each, url] of Object.entries(endpoints)) {
    out.line(`${bold(blue(each))}: ${bold(cyan(url))}`);
  }
}
