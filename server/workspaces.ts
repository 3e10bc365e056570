/** Which workspaces there are: `default`, and those of the server's config (domain.md §9.4). Pure. */
import { lookup, type SkyConfig } from "../core/config.ts";
import { SkyError } from "../core/errors.ts";

/** Name → its section of the config. */
export function workspacesOf(config: SkyConfig): Record<string, Record<string, unknown>> {
  const configured = lookup(config, "workspaces");
  const named = configured !== null && typeof configured === "object" ? configured : {};
  return {
    default: {},
    ...Object.fromEntries(
      Object.entries(named).map(([name, value]) => [name, (value ?? {}) as Record<string, unknown>]),
    ),
  };
}

/** Throws invalid_argument for a workspace that the server does not define. */
export function checkWorkspace(workspace: string, config: SkyConfig): void {
  const names = Object.keys(workspacesOf(config));
  if (names.includes(workspace)) return;
  throw new SkyError(
    "invalid_argument",
    `Workspace ${workspace} does not exist. Use one of the following workspaces: ${names.sort().join(", ")}`,
  );
}
