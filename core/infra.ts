/** The `infra` grammar, `cloud/region/zone` (domain.md §1.3.1, cli.md §2.4), and how a place is shown. Pure. */
import { canonicalCloud, cloudDisplayName } from "./cloud_names.ts";
import { SkyError } from "./errors.ts";
import { truncateMiddle } from "./format.ts";

/** Null means any. For `ssh` the region is `ssh-<pool>`, for Slurm region = cluster and zone = partition. */
export interface Infra {
  readonly cloud: string | null;
  readonly region: string | null;
  readonly zone: string | null;
}

const ANYWHERE: Infra = { cloud: null, region: null, zone: null };

/** Throws invalid_argument for an unknown cloud, an empty part or too many parts. */
export function parseInfra(text: string | null): Infra {
  const stripped = (text ?? "").replace(/^[/\s]+|[/\s]+$/g, "");
  if (stripped === "") return ANYWHERE;
  const parts = stripped.split("/").map((part) => part.trim());
  const [first = "", ...rest] = parts;
  const cloud = first === "*" ? null : canonicalCloud(first);
  // Contexts and pool names may hold slashes.
  if (cloud === "kubernetes" || cloud === "ssh") {
    return { cloud, region: place(cloud, rest.join("/")), zone: null };
  }
  if (parts.includes("")) {
    throw invalid(`${text}. Format should not contain empty parts (e.g., double slashes "//").`);
  }
  if (parts.length > 3) {
    throw invalid(`${text}. Expected format is "cloud", "cloud/region", or "cloud/region/zone".`);
  }
  return { cloud, region: part(rest[0]), zone: part(rest[1]) };
}

function invalid(rest: string): SkyError {
  return new SkyError("invalid_argument", `Invalid infra format: ${rest}`);
}

function part(text: string | undefined): string | null {
  return text === undefined || text === "*" ? null : text;
}

function place(cloud: string, name: string): string | null {
  if (name === "" || name === "*") return null;
  return cloud === "ssh" && !name.startsWith("ssh-") ? `ssh-${name}` : name;
}

/** The text of a place, `*` for gaps; null when nothing is set. Reads back by `parseInfra`. */
export function formatInfra(infra: Infra): string | null {
  const region = infra.cloud === "ssh" ? infra.region?.replace(/^ssh-/, "") : infra.region;
  const parts = [infra.cloud?.toLowerCase(), region, infra.zone].map((each) => each ?? "*");
  while (parts.at(-1) === "*") parts.pop();
  return parts.length === 0 ? null : parts.join("/");
}

/** The INFRA column: `AWS (us-east-1a)`, the bracketed name cut in its middle unless `full`; `-` without a cloud. */
export function infraCell(infra: Infra, options: { full?: boolean } = {}): string {
  if (infra.cloud === null) return "-";
  const name = cloudDisplayName(infra.cloud);
  const where = infra.cloud === "slurm" ? infra.region : infra.zone ?? infra.region;
  if (where === null) return name;
  const shown = where.replace(/^ssh-/, "");
  return `${name} (${options.full ? shown : truncateMiddle(shown)})`;
}
