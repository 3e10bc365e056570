/** The request record on the wire and its control operations (wire.md §4). Pure. */
import * as v from "valibot";

export const ApiCancelBody = v.object({
  request_ids: v.optional(v.nullable(v.array(v.string())), null),
  user_id: v.optional(v.nullable(v.string()), null),
});

/** RequestPayload of wire.md §4.1. `return_value` and `error` are JSON text inside strings. Unix seconds. */
export interface RequestPayload {
  request_id: string;
  name: string;
  entrypoint: string;
  request_body: string;
  status: "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";
  created_at: number;
  user_id: string;
  return_value: string;
  error: string;
  pid: number | null;
  schedule_type: "long" | "short";
  user_name: string | null;
  cluster_name: string | null;
  status_msg: string | null;
  should_retry: boolean;
  finished_at: number | null;
  file_mounts_blob_id: string | null;
}
