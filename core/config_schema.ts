/** What a config file may hold (domain.md §9.2): the shape of each section that is documented. Pure. */
import type { SkyConfig } from "./config.ts";
import {
  anyMap,
  atLeast,
  check,
  choice,
  either,
  fields,
  flag,
  list,
  looseFields,
  mapOf,
  number,
  optional,
  shortText,
  text,
  textOrNull,
  whole,
} from "./schema_words.ts";

const DOCS = "https://docs.skypilot.co/en/latest/reference/config.html";

const texts = () => list(text());
const section = () => optional(anyMap());
const hours = () => optional(number());
const oneOrMany = () => either(text(), texts());
const identity = () => optional(either(text(), list(mapOf(text(), { max: 1 }))));

const pricing = () =>
  optional(fields({
    cpu: optional(atLeast(0)),
    memory: optional(atLeast(0)),
    accelerators: optional(mapOf(atLeast(0))),
  }));

const controller = fields({
  resources: section(),
  autostop: optional(either(flag(), whole(), text(), anyMap())),
  consolidation_mode: optional(flag()),
  high_availability: optional(flag()),
  controller_logs_gc_retention_hours: hours(),
  task_logs_gc_retention_hours: hours(),
});

const managed = () =>
  optional(fields({
    controller: optional(controller),
    bucket: optional(text()),
    force_disable_cloud_bucket: optional(flag()),
  }));

const podKeys = {
  pod_config: section(),
  custom_metadata: section(),
  provision_timeout: optional(whole()),
};

const kubernetesKeys = {
  ...podKeys,
  namespace: optional(text()),
  networking: optional(choice(["nodeport", "portforward"], { anyCase: true })),
  ports: optional(choice(["loadbalancer", "ingress", "podip"], { anyCase: true })),
  autoscaler: optional(choice(["gke", "karpenter", "coreweave", "nebius", "generic"], { anyCase: true })),
  remote_identity: identity(),
  allowed_nodes: optional(fields({
    label_selector: optional(either(text(), anyMap())),
    names: optional(texts()),
    ips: optional(texts()),
  })),
  kueue: optional(fields({ local_queue_name: optional(textOrNull()) })),
  quota: optional(fields({ queue: optional(text()) })),
  dws: optional(fields({ enabled: optional(flag()), max_run_duration: optional(either(text(), whole())) })),
  high_availability: optional(fields({ storage_class_name: optional(text()) })),
  post_provision_runcmd: optional(list(either(text(), texts()))),
  apt_mirrors: optional(either(texts(), anyMap())),
  set_pod_resource_limits: optional(either(flag(), atLeast(1))),
  pricing: pricing(),
  auto_mounts: optional(either(flag(), list(anyMap()))),
  enable_docker: optional(either(flag(), text(), anyMap())),
};

const slurmKeys = {
  sbatch_options: section(),
  gpu_partition_map: section(),
  cpu_partition: optional(oneOrMany()),
  pricing: pricing(),
};

/** Clouds whose keys are not told apart here: any map. */
const otherClouds = Object.fromEntries(
  ("azure gcp ibm lambda scp oci runpod vast vsphere cudo fluidstack paperspace primeintellect do nebius hyperbolic " +
    "seeweb shadeform yotta mithril verda cloudflare coreweave vastdata huggingface local")
    .split(" ").map((name) => [name, section()]),
);

const Config = fields({
  ...otherClouds,
  // Our own server settings stand here too.
  api_server: optional(looseFields({
    endpoint: optional(text()),
    service_account_token: optional(text()),
    requests_retention_hours: hours(),
    cluster_event_retention_hours: hours(),
    cluster_debug_event_retention_hours: hours(),
    cluster_terminal_event_retention_hours: hours(),
    daemon_log_max_bytes: optional(whole()),
  })),
  allowed_clouds: optional(texts()),
  workspace: optional(shortText(63)),
  active_workspace: optional(shortText(63)),
  workspaces: optional(mapOf(either(anyMap(), text()))),
  rbac: optional(fields({
    default_role: optional(choice(["admin", "user", "viewer"])),
    roles: section(),
  })),
  admin_policy: optional(text()),
  db: optional(text()),
  jobs: managed(),
  serve: managed(),
  kubernetes: optional(fields({
    ...kubernetesKeys,
    allowed_contexts: optional(oneOrMany()),
    context_configs: optional(mapOf(fields(kubernetesKeys))),
  })),
  ssh: optional(fields({
    ...podKeys,
    allowed_node_pools: optional(texts()),
    context_configs: optional(mapOf(fields(podKeys))),
  })),
  slurm: optional(fields({
    ...slurmKeys,
    allowed_clusters: optional(oneOrMany()),
    provision_timeout: optional(whole()),
    cluster_configs: optional(mapOf(fields({
      ...slurmKeys,
      workdir: optional(text()),
      tmpdir: optional(text()),
      partition_configs: optional(mapOf(fields({ pricing: pricing(), sbatch_options: section() }))),
    }))),
  })),
  pricing: pricing(),
  aws: optional(looseFields({
    vpc_name: optional(textOrNull()),
    vpc_names: optional(oneOrMany()),
    subnet_names: optional(oneOrMany()),
    use_internal_ips: optional(flag()),
    ssh_proxy_command: optional(either(text(), anyMap())),
    use_ssm: optional(flag()),
    security_group_name: identity(),
    labels: optional(mapOf(text())),
    disk_encrypted: optional(flag()),
    ssh_user: optional(text()),
    prioritize_reservations: optional(flag()),
    specific_reservations: optional(texts()),
    remote_identity: identity(),
    post_provision_runcmd: optional(list(either(text(), texts()))),
    capabilities: optional(texts()),
  })),
  docker: optional(fields({ run_options: optional(oneOrMany()) })),
  nvidia_gpus: optional(fields({ disable_ecc: optional(flag()) })),
  provision: optional(fields({ ssh_timeout: optional(whole({ min: 0 })), install_conda: optional(flag()) })),
  logs: optional(looseFields({ store: optional(choice(["gcp", "aws"])) })),
  data: optional(fields({ mount_cached: optional(fields({ sequential_upload: optional(flag()) })) })),
  dashboard: optional(fields({
    external_links: optional(list(fields({ label: text(), regex: text() }))),
  })),
  daemons: optional(mapOf(fields({ log_level: optional(text()), interval_seconds: optional(number()) }))),
  plugins: section(),
  hooks: optional(list(anyMap())),
});

/** `source` is a file's path, or `CLI` for flags. Throws invalid_config; nulls are values here, not gaps. */
export function checkConfig(config: unknown, source: string): SkyConfig {
  const prefix = `Invalid config YAML from (${source}). See: ${DOCS}. Error: `;
  check(Config, config, { prefix, code: "invalid_config" });
  return config as SkyConfig;
}
