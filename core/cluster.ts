/** Clusters: the record (domain.md §4.1), its statuses and naming rules. Pure. */
import { SkyError } from "./errors.ts";

export type ClusterStatus = "INIT" | "UP" | "STOPPED" | "AUTOSTOPPING" | "PENDING";
export type WaitFor = "jobs_and_ssh" | "jobs" | "none";

/** What a cloud returned for the machines it made: opaque, versioned JSON. Only that cloud looks inside. */
export type Handle = { readonly version: number; readonly [key: string]: unknown };

/** The launchable resources a cluster got: every field decided. Numbers: vCPUs, GB (GiB), USD per hour and node. */
export interface LaunchedResources {
  readonly cloud: string;
  readonly region: string | null;
  readonly zone: string | null;
  readonly instanceType: string | null;
  readonly cpus: number | null;
  readonly memory: number | null;
  readonly accelerators: Readonly<Record<string, number>> | null;
  readonly useSpot: boolean;
  readonly diskSize: number;
  readonly ports: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly imageId: string | null;
  readonly hourlyCost: number;
  /** Absent where the cloud has no such thing. */
  readonly acceleratorArgs?: Readonly<Record<string, unknown>> | null;
  readonly diskTier?: string | null;
  readonly networkTier?: string | null;
  readonly localDisk?: string | null;
  /** The user named the zone: worth waiting longer for. Absent otherwise. */
  readonly zoneAsked?: boolean;
}

export interface Autostop {
  /** Idle minutes before it fires; -1 for none. */
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: WaitFor;
  /** Unix ms at which it was last set. */
  readonly setAt: number;
}

/** Times are unix milliseconds. */
export interface ClusterRecord {
  readonly name: string;
  /** UUID of this incarnation; job ids and directories belong to it. */
  readonly hash: string;
  readonly nameOnCloud: string;
  readonly status: ClusterStatus;
  readonly statusUpdatedAt: number;
  readonly launchedAt: number;
  readonly everUp: boolean;
  readonly numNodes: number;
  readonly resources: LaunchedResources;
  /** Null until the cloud has returned one. */
  readonly handle: Handle | null;
  readonly autostop: Autostop;
  /** Unix ms of the last activity that counts against autostop. */
  readonly lastActiveAt: number;
  readonly userId: string;
  readonly userName: string;
  readonly workspace: string;
  readonly lastUse: string;
  readonly lastEvent: string | null;
  /** Progress text while INIT. */
  readonly launchReason: string | null;
  readonly lastCreationYaml: string | null;
  readonly lastCreationCommand: string | null;
  readonly configHash: string | null;
}

const NAME = /^[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$/;

/** Throws invalid_cluster_name unless the name fits cli.md §2.5. */
export function checkClusterName(name: string): void {
  if (NAME.test(name)) return;
  throw new SkyError(
    "invalid_cluster_name",
    `Cluster name "${name}" is invalid; ensure it is fully matched by regex (e.g., only contains letters, numbers and dash): ` +
      `[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?`,
  );
}
