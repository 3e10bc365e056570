/** The names of clouds (domain.md §1.3.2) and of our own `local`; what is shown for them. Pure. */
import { SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";

const DISPLAY: Readonly<Record<string, string>> = {
  local: "Local",
  aws: "AWS",
  azure: "Azure",
  gcp: "GCP",
  ibm: "IBM",
  lambda: "Lambda",
  scp: "SCP",
  oci: "OCI",
  kubernetes: "Kubernetes",
  runpod: "RunPod",
  vast: "Vast",
  vsphere: "vSphere",
  cudo: "Cudo",
  fluidstack: "Fluidstack",
  paperspace: "Paperspace",
  primeintellect: "PrimeIntellect",
  do: "DO",
  nebius: "Nebius",
  ssh: "SSH",
  slurm: "Slurm",
  hyperbolic: "Hyperbolic",
  seeweb: "Seeweb",
  shadeform: "Shadeform",
  yotta: "Yotta",
  mithril: "Mithril",
  verda: "Verda",
};

/** Canonical lower-case names of the clouds that can run something. */
export const CLOUD_NAMES: readonly string[] = Object.keys(DISPLAY);

/** Machines there have no catalog of types: they are cut to measure, so their type says nothing. */
const VIRTUAL: readonly string[] = ["kubernetes", "ssh", "slurm", "local"];

export function hasVirtualTypes(cloud: string): boolean {
  return VIRTUAL.includes(cloud);
}

/** `aws` → `AWS`; names we do not know are shown as they are. */
export function cloudDisplayName(cloud: string): string {
  return DISPLAY[cloud] ?? cloud;
}

/** Canonical name of any spelling; `k8s` is Kubernetes. Throws invalid_argument for an unknown cloud. */
export function canonicalCloud(name: string): string {
  const lower = name.trim().toLowerCase();
  const canonical = lower === "k8s" ? "kubernetes" : lower;
  if (CLOUD_NAMES.includes(canonical)) return canonical;
  throw new SkyError(
    "invalid_argument",
    `Cloud ${pyRepr(lower)} is not a valid cloud among ${pyRepr([...CLOUD_NAMES].sort())}`,
  );
}
