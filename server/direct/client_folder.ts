/** The folder in which logs are put together for a client to download (wire.md §12.4): its two names. Pure. */
import { join } from "@std/path";
import type { HomePaths } from "../../core/paths.ts";

export interface ClientFolder {
  /** As clients name it: `~/.sky/api_server/clients/<user id>/sky_logs`. */
  readonly shown: string;
  /** Where it is. */
  readonly path: string;
}

export function clientLogs(userId: string, home: Pick<HomePaths, "clients">): ClientFolder {
  return {
    shown: `~/.sky/api_server/clients/${userId}/sky_logs`,
    path: join(home.clients, userId, "sky_logs"),
  };
}
