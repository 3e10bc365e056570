/** Bodies without their secrets, for `/api/status` and for what is kept of a finished request (wire.md §18.26). Pure. */

/** Body fields that hold a task or DAG as YAML text. */
const TASK_TEXTS = ["task", "dag"];
/** Characters of text worth understanding for being shown: parsing holds the event loop, a longer text is hidden whole. */
const MAX_PARSED = 128 * 1024;

/** The body with the secrets in its tasks hidden; everything else as it is. */
export async function redactBody(body: unknown): Promise<unknown> {
  if (body === null || typeof body !== "object" || Array.isArray(body)) return body;
  const shown: Record<string, unknown> = { ...body };
  for (const key of TASK_TEXTS) {
    const text = shown[key];
    if (typeof text === "string") shown[key] = await redactText(text);
  }
  return shown;
}

async function redactText(text: string): Promise<string> {
  if (holdsNoSecrets(text)) return text;
  const { REDACTED, redactYaml } = await import("../core/redact.ts");
  return text.length > MAX_PARSED ? REDACTED : redactYaml(text);
}

/** Nothing in it can be one of the keys that redact.ts looks for, not even spelled with escapes. */
function holdsNoSecrets(text: string): boolean {
  const named = ["secrets", "SKYPILOT_DOCKER_PASSWORD", "_docker_login_config"].some((key) =>
    text.includes(key)
  );
  return !named && !(text.includes('"') && text.includes("\\"));
}
