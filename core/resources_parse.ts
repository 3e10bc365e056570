/**
 * The `resources` section to candidates and back (domain.md §1.3): `any_of`, `ordered`, accelerator alternatives, and
 * the meaning of each field. What a cloud's catalog must know (instance types, regions) is not checked here. Pure.
 */
import { type AcceleratorChoice, parseAccelerators, tpuDefaults } from "./accelerators.ts";
import { autostopYaml, parseAutostop } from "./autostop.ts";
import { canonicalCloud, cloudDisplayName } from "./cloud_names.ts";
import { SkyError } from "./errors.ts";
import { formatInfra, type Infra, parseInfra } from "./infra.ts";
import { checkLabels } from "./labels.ts";
import { parsePorts } from "./ports.ts";
import { DEFAULT_DISK_GB, newResources, type Resources, type ResourcesChoice } from "./resources.ts";
import * as schema from "./schema.ts";
import { isMap, type Plain, withoutNulls } from "./plain.ts";
import { check } from "./schema_words.ts";
import { parseCpus, parseDiskSize, parseLocalDisk, parseMemory } from "./sizes.ts";

const PREFIX = "Invalid resources YAML: ";
/** Accepted keys that no room reads: kept for round trips. */
const KEPT = [
  "volumes",
  "_docker_login_config",
  "_docker_username_for_runpod",
  "_is_image_managed",
  "_requires_fuse",
  "_cluster_config_overrides",
  "_no_missing_accel_warnings",
] as const;

/** Throws invalid_task for a wrong shape, invalid_argument for wrong values. Null is a wish for anything. */
export function parseResources(section: unknown): ResourcesChoice {
  const config = isMap(section) ? withoutNulls(section) : section ?? {};
  if (isMap(config) && "hooks" in config) {
    throw new SkyError(
      "invalid_task",
      "Lifecycle hooks live under top-level `config.hooks:`, not `resources.hooks:`. Move them there.",
    );
  }
  const yaml = check(schema.Resources, config, { prefix: PREFIX });
  const { any_of: anyOf, ordered, ...rest } = yaml;
  if (anyOf !== undefined && ordered !== undefined) {
    throw new SkyError("invalid_argument", 'Cannot specify both "any_of" and "ordered" in resources.');
  }
  const base = oneName(rest);
  if (ordered !== undefined) return fromList("ordered", { base, entries: ordered });
  if (anyOf !== undefined) return fromList("any_of", { base, entries: anyOf });
  return finished(expand(base));
}

type Yaml = schema.ResourcesYaml;

/** `gpus` is another name of `accelerators`. */
function oneName(yaml: Yaml): Yaml {
  const { gpus, ...rest } = yaml;
  if (gpus === undefined) return rest;
  if (rest.accelerators !== undefined) {
    throw new SkyError("invalid_argument", "Cannot specify both gpus and accelerators in config.");
  }
  return { ...rest, accelerators: gpus };
}

function fromList(
  kind: "any_of" | "ordered",
  lists: { base: Yaml; entries: readonly Plain[] },
): ResourcesChoice {
  const { base, entries } = lists;
  const given = base.accelerators;
  const several = given !== undefined && typeof given !== "string" &&
    (Array.isArray(given) ? given.length : Object.keys(given).length) > 1;
  if (several && (kind === "ordered" || Array.isArray(given))) {
    throw new SkyError(
      "invalid_argument",
      `Cannot specify multiple "accelerators" with "${kind}" in resources.`,
    );
  }
  const candidates = entries.flatMap((entry, i) => {
    const own = oneName(check(schema.ResourcesEntry, withoutNulls(entry), { prefix: PREFIX, at: [kind, i] }));
    const labels = base.labels === undefined && own.labels === undefined ? {} : {
      labels: { ...base.labels, ...own.labels },
    };
    return expand({ ...base, ...own, ...labels }).candidates;
  });
  return finished({ kind, candidates: candidates.length > 0 ? candidates : expand(base).candidates });
}

function expand(yaml: Yaml): ResourcesChoice {
  const place = placeOf(yaml);
  if (yaml.accelerators === undefined) {
    return { kind: "any_of", candidates: [candidate(yaml, { place, gpu: null })] };
  }
  const choice: AcceleratorChoice = parseAccelerators(yaml.accelerators, place.cloud);
  const candidates = choice.wishes.map((gpu) => candidate(yaml, { place, gpu }));
  if (candidates.length === 0) return { kind: "any_of", candidates: [candidate(yaml, { place, gpu: null })] };
  return { kind: choice.kind === "ordered" ? "ordered" : "any_of", candidates };
}

function placeOf(yaml: Yaml): Infra {
  const { infra, cloud, region, zone } = yaml;
  if (infra === undefined) {
    const named = cloud === undefined || cloud === "*" ? null : canonicalCloud(cloud);
    const inPool = named === "ssh" && region !== undefined && !region.startsWith("ssh-");
    return { cloud: named, region: inPool ? `ssh-${region}` : wild(region), zone: wild(zone) };
  }
  if (cloud === undefined && region === undefined && zone === undefined) return parseInfra(infra);
  throw new SkyError(
    "invalid_argument",
    "Cannot specify both `infra` and `cloud`, `region`, or `zone` parameters.",
  );
}

function wild(text: string | undefined): string | null {
  return text === undefined || text === "*" ? null : text;
}

interface Parts {
  readonly place: Infra;
  readonly gpu: AcceleratorChoice["wishes"][number] | null;
}

function candidate(yaml: Yaml, { place, gpu }: Parts): Resources {
  const tpu = gpu === null ? null : tpuDefaults(gpu.name, yaml.accelerator_args ?? {});
  const cloud = place.cloud ?? tpu?.cloud ?? null;
  const args = yaml.accelerator_args ?? (tpu === null ? null : {});
  const kept = Object.fromEntries(KEPT.flatMap((key) => yaml[key] === undefined ? [] : [[key, yaml[key]]]));
  return newResources({
    ...place,
    cloud,
    instanceType: yaml.instance_type ?? null,
    cpus: yaml.cpus === undefined ? null : parseCpus(yaml.cpus),
    memory: yaml.memory === undefined ? null : parseMemory(yaml.memory, { allowZero: cloud === "slurm" }),
    accelerators: gpu === null ? null : { [gpu.name]: gpu.count },
    acceleratorArgs: tpu === null ? args : { runtime_version: tpu.runtimeVersion, ...args },
    useSpot: yaml.use_spot ?? null,
    jobRecovery: jobRecovery(yaml.job_recovery),
    diskSize: yaml.disk_size === undefined ? null : parseDiskSize(yaml.disk_size),
    diskTier: yaml.disk_tier?.toLowerCase() ?? null,
    networkTier: yaml.network_tier?.toLowerCase() ?? null,
    localDisk: yaml.local_disk === undefined ? null : parseLocalDisk(yaml.local_disk),
    ephemeralStorage: ephemeralStorage(yaml, cloud),
    maxHourlyCost: yaml.max_hourly_cost ?? null,
    ports: parsePorts(yaml.ports ?? null),
    imageId: imageId(yaml.image_id),
    labels: yaml.labels ?? null,
    autostop: yaml.autostop === undefined ? null : parseAutostop(yaml.autostop),
    priority: yaml.priority ?? null,
    priorityClass: yaml.priority_class?.trim() || null,
    other: gpu?.implied ? { ...kept, _no_missing_accel_warnings: true } : kept,
  });
}

function jobRecovery(wish: Yaml["job_recovery"]): Resources["jobRecovery"] {
  if (wish === undefined || wish === "none") return null;
  if (typeof wish === "string") return wish.toUpperCase();
  const { strategy } = wish;
  return typeof strategy === "string" && strategy !== "none"
    ? { ...wish, strategy: strategy.toUpperCase() }
    : wish;
}

function ephemeralStorage(yaml: Yaml, cloud: string | null): number | null {
  if (yaml.ephemeral_storage === undefined) return null;
  if (cloud === null || cloud === "kubernetes") {
    return parseDiskSize(yaml.ephemeral_storage, "ephemeral_storage");
  }
  throw new SkyError(
    "invalid_argument",
    `ephemeral_storage is only supported on Kubernetes, not on ${cloudDisplayName(cloud)}.`,
  );
}

function imageId(wish: Yaml["image_id"]): Resources["imageId"] {
  if (typeof wish === "string") return wish.trim() === "" ? null : wish.trim();
  return wish ?? null;
}

/** Drops repeated candidates and refuses those that disagree about what can only be one thing. */
function finished(choice: ResourcesChoice): ResourcesChoice {
  const distinct = [...new Map(choice.candidates.map((each) => [JSON.stringify(each), each])).values()];
  const spread = (field: keyof Resources) =>
    new Set(distinct.map((each) => JSON.stringify(each[field]))).size > 1;
  if (spread("priority")) {
    throw new SkyError("invalid_argument", "Priority is not consistent across resources");
  }
  if (spread("autostop")) {
    throw new SkyError("invalid_argument", "All resources must have the same autostop config.");
  }
  return { kind: choice.kind, candidates: distinct };
}

/** The checks that wait until command-line overrides are in. Throws invalid_argument. */
export function checkResources(choice: ResourcesChoice): void {
  finished(choice);
  for (const wish of choice.candidates) {
    const docker = typeof wish.imageId === "string"
      ? wish.imageId.startsWith("docker:")
      : wish.imageId?.["docker"] !== undefined;
    if (wish.imageId !== null && !docker && wish.cloud === null) {
      throw new SkyError("invalid_argument", "Cloud must be specified when image_id is provided.");
    }
    if (
      wish.cloud === "aws" && typeof wish.imageId === "string" && wish.imageId.startsWith("ami-") &&
      wish.region === null
    ) {
      throw new SkyError(
        "invalid_argument",
        "image_id is only supported for AWS in a specific region, please explicitly specify the region.",
      );
    }
    if (wish.labels !== null && wish.cloud !== null) checkLabels(wish.labels, wish.cloud);
  }
}

/** The `resources` section of a dump: `infra`, never its parts; `disk_size` always (§1.13). */
export function resourcesYaml(choice: ResourcesChoice): Record<string, unknown> {
  const maps = choice.candidates.map(candidateYaml);
  const [only] = maps;
  if (only !== undefined && maps.length === 1) return only;
  return { [choice.kind]: maps };
}

function candidateYaml(wish: Resources): Record<string, unknown> {
  return withoutNulls({
    infra: formatInfra(wish),
    instance_type: wish.instanceType,
    cpus: wish.cpus,
    memory: wish.memory,
    accelerators: wish.accelerators,
    accelerator_args: wish.acceleratorArgs,
    use_spot: wish.useSpot,
    job_recovery: wish.jobRecovery,
    disk_size: wish.diskSize ?? DEFAULT_DISK_GB,
    ephemeral_storage: wish.ephemeralStorage,
    image_id: wish.imageId,
    disk_tier: wish.diskTier,
    network_tier: wish.networkTier,
    local_disk: wish.localDisk,
    max_hourly_cost: wish.maxHourlyCost,
    ports: wish.ports,
    labels: wish.labels,
    autostop: wish.autostop === null ? null : autostopYaml(wish.autostop),
    priority: wish.priority,
    priority_class: wish.priorityClass,
    ...wish.other,
  });
}
