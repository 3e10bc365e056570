/** Whether what a cluster got serves a wish: "less demanding" (domain.md §4.5). CPUs and memory do not count. Pure. */
import type { LaunchedResources } from "./cluster.ts";
import { portsWithin } from "./ports.ts";
import { reprLaunched, reprResources, type Resources, type ResourcesChoice } from "./resources.ts";
import { SkyError } from "./errors.ts";
import { bold } from "./ansi.ts";
import { localDiskFits } from "./sizes.ts";

const DISK_TIERS = ["low", "medium", "high", "ultra"];
const NETWORK_TIERS = ["standard", "best"];

interface FitOptions {
  /** `exec` checks them; `launch` opens what is missing. */
  readonly checkPorts?: boolean;
}

/** True if every requested field is met by the launched machine. */
export function fits(requested: Resources, launched: LaunchedResources, options: FitOptions = {}): boolean {
  const same = (wish: string | boolean | null, got: string | boolean | null) => wish === null || wish === got;
  return same(requested.cloud, launched.cloud) &&
    same(requested.region, launched.region) &&
    same(requested.zone, launched.zone) &&
    same(requested.instanceType, launched.instanceType) &&
    same(requested.useSpot, launched.useSpot) &&
    imageFits(requested, launched) &&
    acceleratorsFit(requested, launched) &&
    tierFits(requested.diskTier, { got: launched.diskTier, scale: DISK_TIERS }) &&
    tierFits(requested.networkTier, { got: launched.networkTier, scale: NETWORK_TIERS }) &&
    (requested.localDisk === null ||
      (typeof launched.localDisk === "string" && localDiskFits(requested.localDisk, launched.localDisk))) &&
    (!options.checkPorts || portsWithin(requested.ports ?? [], launched.ports));
}

function imageFits(requested: Resources, launched: LaunchedResources): boolean {
  const wish = requested.imageId;
  if (wish === null) return true;
  if (typeof wish === "string") return wish === launched.imageId;
  return launched.region !== null && wish[launched.region] === launched.imageId;
}

function acceleratorsFit(requested: Resources, launched: LaunchedResources): boolean {
  const got = new Map(
    Object.entries(launched.accelerators ?? {}).map(([name, n]) => [name.toLowerCase(), n]),
  );
  const enough = Object.entries(requested.accelerators ?? {}).every(([name, count]) =>
    count <= (got.get(name.toLowerCase()) ?? 0)
  );
  const args = requested.acceleratorArgs;
  return enough &&
    (args === null ||
      Object.entries(args).every(([key, value]) => launched.acceleratorArgs?.[key] === value));
}

/** `best` is either a step of the scale or a wish for whatever there is. */
function tierFits(
  wish: string | null,
  has: { got: string | null | undefined; scale: readonly string[] },
): boolean {
  const { got, scale } = has;
  if (wish === null) return true;
  if (got === null || got === undefined) return false;
  return !scale.includes(wish) || scale.indexOf(wish) <= scale.indexOf(got);
}

/** What a cluster is, as far as a task's wish is concerned. */
export interface Existing {
  readonly name: string;
  readonly numNodes: number;
  readonly resources: LaunchedResources;
}

/** The first candidate that an existing cluster serves. Throws resources_mismatch that shows both sides. */
export function fittingCandidate(
  wish: { resources: ResourcesChoice; numNodes: number },
  existing: Existing,
  options: FitOptions = {},
): Resources {
  const found = wish.resources.candidates.find((each) => fits(each, existing.resources, options));
  if (found !== undefined && wish.numNodes <= existing.numNodes) return found;
  const requested = wish.resources.candidates.map((each) => `${wish.numNodes}x ${reprResources(each)}`);
  throw new SkyError(
    "resources_mismatch",
    "Requested resources do not match the existing cluster.\n" +
      `  Requested:\t{${requested.join(", ")}}\n` +
      `  Existing:\t${existing.numNodes}x ${reprLaunched(existing.resources)}\n` +
      `To fix: specify a new cluster name, or down the existing cluster first: ${
        bold(`sky down ${existing.name}`)
      }`,
  );
}
