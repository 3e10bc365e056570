/** The fields that every body carries beside its own (wire.md §3.3), and the checking of bodies. Pure. */
import * as v from "valibot";
import { SkyError } from "../core/errors.ts";

/** Fields that every JSON body carries beside its own (wire.md §3.3). Holds secrets: never log it. */
export const Envelope = v.object({
  env_vars: v.optional(v.nullable(v.record(v.string(), v.string())), null),
  entrypoint: v.optional(v.nullable(v.string()), null),
  entrypoint_command: v.optional(v.nullable(v.string()), null),
  using_remote_api_server: v.optional(v.nullable(v.boolean()), null),
  override_skypilot_config: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
  override_skypilot_config_path: v.optional(v.nullable(v.string()), null),
  file_mounts_blob_id: v.optional(v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))), null),
  client_api_version: v.optional(v.nullable(v.number()), null),
});
export type Envelope = v.InferOutput<typeof Envelope>;

const ENVELOPE_KEYS: ReadonlySet<string> = new Set(Object.keys(Envelope.entries));

/** One finding of a schema, as in a 422 answer (wire.md §3.4). */
export interface BodyIssue {
  loc: (string | number)[];
  msg: string;
  type: string;
}

/**
 * Take the envelope off a body (absent or null: an empty one). Throws invalid_argument with `details.issues`
 * (BodyIssue[]), to be answered with 422.
 */
export function splitEnvelope(json: unknown): { envelope: Envelope; own: Record<string, unknown> } {
  if (json !== null && json !== undefined && (typeof json !== "object" || Array.isArray(json))) {
    throw invalidBody([{ loc: ["body"], msg: "Input should be an object", type: "object" }]);
  }
  const shared: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json ?? {})) {
    (ENVELOPE_KEYS.has(key) ? shared : own)[key] = value;
  }
  return { envelope: parseBody(Envelope, shared), own };
}

/** Check a body or query against a schema of the table. Throws invalid_argument with `details.issues`. */
export function parseBody<S extends v.GenericSchema<unknown, unknown>>(
  schema: S,
  value: unknown,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw invalidBody(result.issues.map((issue) => ({
    loc: [
      "body",
      ...(issue.path ?? []).map((step) => typeof step.key === "number" ? step.key : String(step.key)),
    ],
    msg: issue.message,
    type: issue.type,
  })));
}

function invalidBody(issues: BodyIssue[]): SkyError {
  const text = issues.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ");
  return new SkyError("invalid_argument", `Invalid request: ${text}`, { details: { issues } });
}
