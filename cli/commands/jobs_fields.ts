/** Fields of managed jobs that are asked for (wire.md §8.2). The table itself, jobs_table.ts, is loaded when there are jobs. */

/** Record fields that the table reads. */
export const QUEUE_FIELDS = [
  "job_id",
  "task_id",
  "workspace",
  "job_name",
  "task_name",
  "resources",
  "submitted_at",
  "end_at",
  "job_duration",
  "recovery_count",
  "status",
  "pool",
  "is_primary_in_job_group",
  "batch_total_batches",
  "batch_completed_batches",
];
export const USER_FIELDS = ["user_name", "user_hash"];
export const VERBOSE_FIELDS = [
  "current_cluster_name",
  "job_id_on_pool_cluster",
  "start_at",
  "infra",
  "cloud",
  "region",
  "zone",
  "cluster_resources",
  "schedule_state",
  "details",
  "failure_reason",
  "metadata",
];
