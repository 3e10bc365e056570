/** Bodies without their secrets, for `/api/status` and for what is kept of a finished request (wire.md §18.26). Pure. */
import { redactYaml } from "../core/task_yaml.ts";

/** Body fields that hold a task or DAG as YAML text. */
const TASK_TEXTS = ["task", "dag"];

/** The body with the secrets in its tasks hidden; everything else as it is. */
export function redactBody(body: unknown): unknown {
  if (body === null || typeof body !== "object" || Array.isArray(body)) return body;
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => [
      key,
      TASK_TEXTS.includes(key) && typeof value === "string" ? redactYaml(value) : value,
    ]),
  );
}
