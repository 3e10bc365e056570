/** Where clusters/ keeps files below the server home. Pure. */
import { join } from "@std/path";
import type { HomePaths } from "../core/paths.ts";

/** The folder of one incarnation: a folder per job. */
export function clusterFolder(hash: string, room: { readonly home: HomePaths }): string {
  return join(room.home.clusters, hash);
}
export function jobFolder(hash: string, jobId: number, room: { readonly home: HomePaths }): string {
  return join(clusterFolder(hash, room), "jobs", String(jobId));
}
