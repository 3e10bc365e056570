/** Bodies and results about infrastructure, plans and the empty corners of later issues (wire.md §6.15–7.5). Pure. */
import * as v from "valibot";

const flag = v.optional(v.boolean(), false);
const text = v.optional(v.nullable(v.string()), null);
/** Query booleans arrive as True, true or 1 (wire.md §3.6). */
export const queryFlag = v.optional(
  v.pipe(v.string(), v.transform((value) => ["true", "1"].includes(value.toLowerCase()))),
  "false",
);

export const RequestOptions = v.nullable(v.object({
  cluster_name: text,
  idle_minutes_to_autostop: v.optional(v.nullable(v.number()), null),
  down: flag,
  dryrun: flag,
}));

export const OptimizeBody = v.object({
  dag: v.string(),
  request_options: RequestOptions,
  minimize: v.optional(v.nullable(v.number()), 0),
});
export const ValidateBody = v.object({ dag: v.string(), request_options: RequestOptions });
export const CheckBody = v.object({
  clouds: v.optional(v.nullable(v.array(v.string())), null),
  verbose: flag,
  workspace: text,
});
export const EnabledCloudsQuery = v.object({ workspace: text, expand: queryFlag });
export const ListAcceleratorsBody = v.object({
  gpus_only: v.optional(v.boolean(), true),
  name_filter: text,
  region_filter: text,
  quantity_filter: v.optional(v.nullable(v.number()), null),
  clouds: v.optional(v.nullable(v.union([v.string(), v.array(v.string())])), null),
  all_regions: flag,
  require_price: v.optional(v.boolean(), true),
  case_sensitive: v.optional(v.boolean(), true),
});
export const NoBody = v.object({});
export const VolumesQuery = v.object({ refresh: queryFlag });
export const ManagedJobsBody = v.object({
  refresh: flag,
  skip_finished: flag,
  all_users: flag,
  job_ids: v.optional(v.nullable(v.array(v.number())), null),
  limit: v.optional(v.nullable(v.number()), null),
  fields: v.optional(v.nullable(v.array(v.string())), null),
});
export const ServiceNamesBody = v.object({
  service_names: v.nullable(v.union([v.string(), v.array(v.string())])),
});
export const PoolNamesBody = v.object({ pool_names: v.nullable(v.union([v.string(), v.array(v.string())])) });

/** `{ "<workspace>": { "<Cloud>": ["compute"] } }`. */
export type CheckResultView = Record<string, Record<string, string[]>>;
/** Rows are positional, ten long (wire.md §7.5). */
export type AcceleratorsView = Record<string, unknown[][]>;
export interface ManagedJobsView {
  jobs: Record<string, unknown>[];
  total: number;
  total_no_filter: number;
  status_counts: Record<string, number>;
}
