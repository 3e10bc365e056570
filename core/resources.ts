/** Resources: one wish for machines (domain.md §1.3), and the choice between several. Pure. */
import type { WaitFor } from "./cluster.ts";

export interface AutostopWish {
  /** False: cancel (sends -1). */
  readonly enabled: boolean;
  readonly idleMinutes: number;
  readonly down: boolean;
  readonly waitFor: WaitFor | null;
}

/** Null means "not asked for". Amounts as canonical text (`4`, `4+`, `16x`), GB for sizes. */
export interface Resources {
  /** Canonical lower-case cloud name (`local`, `aws`, `kubernetes`, …). */
  readonly cloud: string | null;
  readonly region: string | null;
  readonly zone: string | null;
  readonly instanceType: string | null;
  readonly cpus: string | null;
  readonly memory: string | null;
  readonly accelerators: Readonly<Record<string, number>> | null;
  readonly acceleratorArgs: Readonly<Record<string, unknown>> | null;
  /** Null differs from false when an existing cluster is matched. */
  readonly useSpot: boolean | null;
  readonly jobRecovery: string | Readonly<Record<string, unknown>> | null;
  readonly diskSize: number | null;
  readonly diskTier: string | null;
  readonly networkTier: string | null;
  readonly localDisk: string | null;
  readonly ephemeralStorage: number | null;
  readonly maxHourlyCost: number | null;
  /** Sorted, collapsed ranges as strings (appendix A.2). */
  readonly ports: readonly string[] | null;
  readonly imageId: string | Readonly<Record<string, string>> | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly autostop: AutostopWish | null;
  readonly priority: number | null;
  readonly priorityClass: string | null;
  /** Accepted keys that no room reads yet, kept so that YAML round-trips. */
  readonly other: Readonly<Record<string, unknown>>;
}

/** `ordered`: try in this order. `any_of`: free choice. One candidate: either. */
export interface ResourcesChoice {
  readonly kind: "any_of" | "ordered";
  readonly candidates: readonly Resources[];
}
