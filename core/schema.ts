/**
 * What task YAML may hold: task, resources, storage, service, pool and the per-task config overrides (domain.md §1.2,
 * §1.3, §1.9 to §1.12, §6.9, §7.1). Shapes only: what the values mean is checked by the files that parse them. Pure.
 */
import type * as v from "valibot";
import {
  anyMap,
  atLeast,
  choice,
  either,
  fields,
  flag,
  list,
  looseFields,
  mapOf,
  nothing,
  number,
  optional,
  pattern,
  positive,
  shortText,
  text,
  textOrNull,
  whole,
} from "./schema_words.ts";

export const ENV_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const SECRET_KEY = /^(?:secrets:.+|[a-zA-Z_][a-zA-Z0-9_]*)$/;

const numberOrText = () => either(text(), number());
const texts = () => mapOf(text());
const sizeWish = () => optional(either(whole(), text()));

const hook = fields({
  run: shortText(16384),
  events: optional(list(choice(["stop", "preemption", "down"]), { min: 1, unique: true })),
  timeout: optional(whole({ min: 1 })),
});

const podSettings = {
  custom_metadata: optional(anyMap()),
  pod_config: optional(anyMap()),
  provision_timeout: optional(whole()),
};

/** The config paths that a task may override, and lifecycle hooks (§1.11). */
export const ConfigOverrides = fields({
  hooks: optional(list(hook, { max: 32 })),
  active_workspace: optional(text()),
  docker: optional(fields({ run_options: optional(either(text(), list(text()))) })),
  nvidia_gpus: optional(fields({ disable_ecc: optional(flag()) })),
  ssh: optional(fields(podSettings)),
  kubernetes: optional(fields({
    ...podSettings,
    dws: optional(anyMap()),
    kueue: optional(anyMap()),
    quota: optional(anyMap()),
    remote_identity: optional(text()),
    enable_docker: optional(either(flag(), text(), anyMap())),
    set_pod_resource_limits: optional(either(flag(), atLeast(1))),
  })),
  azure: optional(fields({ remote_identity: optional(text()), vpc_name: optional(text()) })),
  gcp: optional(fields({
    vpc_name: optional(text()),
    subnet_names: optional(either(text(), list(text()))),
    managed_instance_group: optional(anyMap()),
    enable_gvnic: optional(flag()),
    enable_gpu_direct: optional(flag()),
    placement_policy: optional(text()),
  })),
  vast: optional(fields({ datacenter_only: optional(flag()), create_instance_kwargs: optional(anyMap()) })),
  slurm: optional(fields({ sbatch_options: optional(anyMap()), cpu_partition: optional(text()) })),
});

export const Task = fields({
  name: optional(text()),
  workdir: optional(either(text(), fields({ url: text(), ref: optional(textOrNull()) }))),
  event_callback: optional(text()),
  num_nodes: optional(whole()),
  resources: optional(anyMap()),
  file_mounts: optional(mapOf(either(text(), anyMap()))),
  service: optional(anyMap()),
  pool: optional(anyMap()),
  setup: optional(text()),
  run: optional(text()),
  envs: optional(mapOf(textOrNull(), { keys: { regex: ENV_NAME, section: "envs" } })),
  secrets: optional(
    either(mapOf(textOrNull(), { keys: { regex: SECRET_KEY, section: "secrets" } }), list(text())),
  ),
  managed_secrets: optional(list(either(text(), mapOf(fields({ mount_path: text() }), { max: 1 })))),
  api_server_access: optional(flag()),
  inputs: optional(mapOf(number(), { max: 1 })),
  outputs: optional(mapOf(number(), { max: 1 })),
  volumes: optional(mapOf(either(
    text(),
    fields({
      name: optional(text()),
      sub_path: optional(pattern(/^[a-zA-Z0-9._-][a-zA-Z0-9./_-]*$/)),
      size: optional(either(text(), whole())),
      type: optional(text()),
      labels: optional(texts()),
      config: optional(anyMap()),
    }),
  ))),
  config: optional(ConfigOverrides),
  file_mounts_mapping: optional(texts()),
  volume_mounts: optional(list(anyMap())),
  _metadata: optional(anyMap()),
  _user_specified_yaml: optional(text()),
});
export type TaskYaml = v.InferOutput<typeof Task>;

const accelerators = either(text(), mapOf(either(number(), nothing())), list(text()));
const oneAccelerator = either(text(), mapOf(either(number(), nothing()), { max: 1 }));

const candidate = {
  infra: optional(text()),
  cloud: optional(text()),
  region: optional(text()),
  zone: optional(text()),
  accelerator_args: optional(fields({
    runtime_version: optional(text()),
    tpu_name: optional(text()),
    tpu_vm: optional(flag()),
    gcp_queued_resource: optional(flag()),
  })),
  cpus: optional(numberOrText()),
  memory: optional(numberOrText()),
  instance_type: optional(text()),
  use_spot: optional(flag()),
  job_recovery: optional(either(
    text(),
    looseFields({
      strategy: optional(textOrNull()),
      max_restarts_on_errors: optional(whole({ min: 0 })),
      recover_on_exit_codes: optional(
        either(whole({ min: 0, max: 255 }), list(whole({ min: 0, max: 255 }), { unique: true })),
      ),
    }),
  )),
  disk_size: sizeWish(),
  ephemeral_storage: sizeWish(),
  disk_tier: optional(choice(["low", "medium", "high", "ultra", "best"], { anyCase: true })),
  network_tier: optional(choice(["standard", "best"], { anyCase: true })),
  local_disk: optional(numberOrText()),
  max_hourly_cost: optional(positive()),
  ports: optional(either(text(), whole(), list(either(text(), whole())))),
  image_id: optional(either(text(), texts())),
  labels: optional(texts()),
  autostop: optional(either(
    flag(),
    whole(),
    text(),
    fields({
      idle_minutes: optional(whole({ min: 0 })),
      down: optional(flag()),
      wait_for: optional(choice(["jobs_and_ssh", "jobs", "none"], { anyCase: true })),
      hook: optional(text()),
      hook_timeout: optional(whole({ min: 1 })),
    }),
  )),
  priority: optional(whole({ min: -1000, max: 1000 })),
  priority_class: optional(text()),
  volumes: optional(list(fields({
    path: optional(text()),
    name: optional(text()),
    storage_type: optional(choice(["network", "instance"], { anyCase: true })),
    disk_size: sizeWish(),
    disk_tier: optional(text()),
    auto_delete: optional(flag()),
    attach_mode: optional(choice(["read_only", "read_write"], { anyCase: true })),
  }))),
  _docker_login_config: optional(fields({ username: text(), password: text(), server: text() })),
  _docker_username_for_runpod: optional(text()),
  _is_image_managed: optional(flag()),
  _requires_fuse: optional(flag()),
  _cluster_config_overrides: optional(anyMap()),
  _no_missing_accel_warnings: optional(flag()),
};

const entry = fields({
  ...candidate,
  accelerators: optional(oneAccelerator),
  gpus: optional(oneAccelerator),
});

export const Resources = fields({
  ...candidate,
  accelerators: optional(accelerators),
  gpus: optional(accelerators),
  any_of: optional(list(anyMap())),
  ordered: optional(list(anyMap())),
});
export const ResourcesEntry = entry;
export type ResourcesYaml = v.InferOutput<typeof Resources>;
export type ResourcesEntryYaml = v.InferOutput<typeof ResourcesEntry>;

const STORES = "s3 gcs azure r2 ibm oci nebius coreweave vastdata hf volume".split(" ");
const MODES = "MODEL_CHECKPOINT_RO MODEL_CHECKPOINT_RW DATASET_RO DATASET_RW".split(" ");
const cacheText = () => optional(numberOrText());

export const Storage = fields({
  name: optional(text()),
  source: optional(either(text(), list(text(), { min: 1 }))),
  store: optional(choice(STORES, { anyCase: true })),
  persistent: optional(flag()),
  mode: optional(choice(["mount", "copy", "mount_cached"], { anyCase: true })),
  type: optional(choice(MODES)),
  config: optional(fields({
    mount: optional(fields({ read_only: optional(flag()) })),
    mount_cached: optional(fields({
      transfers: optional(whole({ min: 1 })),
      buffer_size: cacheText(),
      vfs_cache_max_size: cacheText(),
      vfs_cache_max_age: cacheText(),
      vfs_read_ahead: cacheText(),
      vfs_read_chunk_size: cacheText(),
      vfs_read_chunk_streams: optional(whole()),
      vfs_write_back: cacheText(),
      read_only: optional(flag()),
    })),
  })),
  _is_sky_managed: optional(flag()),
  _bucket_sub_path: optional(text()),
  _force_delete: optional(flag()),
});

const delay = () => optional(atLeast(0));
const count = () => optional(whole({ min: 0 }));

const probe = fields({
  path: text(),
  initial_delay_seconds: optional(number()),
  timeout_seconds: optional(number()),
  endpoint_probe_interval_seconds: optional(number()),
  consecutive_failure_threshold_timeout: optional(number()),
  post_data: optional(either(text(), anyMap())),
  headers: optional(texts()),
});

export const Service = fields({
  readiness_probe: optional(either(text(), probe)),
  replicas: count(),
  replica_policy: optional(fields({
    min_replicas: whole({ min: 0 }),
    max_replicas: count(),
    num_overprovision: count(),
    target_qps_per_replica: optional(either(atLeast(0), mapOf(atLeast(0)))),
    upscale_delay_seconds: optional(number()),
    downscale_delay_seconds: optional(number()),
    base_ondemand_fallback_replicas: optional(whole()),
    dynamic_ondemand_fallback: optional(flag()),
    spot_placer: optional(choice(["dynamic_fallback"], { anyCase: true })),
  })),
  ports: optional(either(whole(), text())),
  load_balancing_policy: optional(
    choice(["round_robin", "least_load", "instance_aware_least_load"], { anyCase: true }),
  ),
  load_balancer: optional(fields({ stream_timeout_seconds: optional(positive()) })),
  tls: optional(fields({ keyfile: text(), certfile: text() })),
  pool: optional(flag()),
  workers: count(),
});

export const Pool = fields({
  workers: count(),
  min_workers: count(),
  max_workers: count(),
  queue_length_threshold: optional(whole({ min: 1 })),
  upscale_delay_seconds: delay(),
  downscale_delay_seconds: delay(),
});
