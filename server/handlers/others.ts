/**
 * Handlers of things this server knows none of yet: storages, volumes, managed jobs, pools, services. Their lists are
 * truly empty; `sky status` asks for all of them.
 */
import type { HandlersOf } from "./handler.ts";
import { workspacesOf } from "../workspaces.ts";

export const otherHandlers: HandlersOf<
  "workspaces" | "storageLs" | "volumes" | "managedJobs" | "managedJobsList" | "pools" | "services"
> = {
  workspaces: (_body, _ctx, world) => Promise.resolve(workspacesOf(world.config())),
  storageLs: () => Promise.resolve([]),
  volumes: () => Promise.resolve([]),
  managedJobs: () => Promise.resolve({ jobs: [], total: 0, total_no_filter: 0, status_counts: {} }),
  managedJobsList: () => Promise.resolve([]),
  pools: () => Promise.resolve([]),
  services: () => Promise.resolve([]),
};
