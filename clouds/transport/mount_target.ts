/** Where a file mount goes on a node (domain.md §1.9). Pure: it joins names and touches nothing. */
import { join, normalize } from "@std/path";
import { SkyError } from "../../core/errors.ts";

export interface Place {
  /** Where the content goes, absolute. */
  readonly path: string;
  /** Where a link to it must be made, for a target that is root's place; else null. */
  readonly link: string | null;
}

/**
 * `~/x` and paths below the home or /tmp are taken as they are; a relative path is below `~/sky_workdir`; the
 * content for any other place is kept below `~/.sky/file_mounts` and linked to from there. Throws
 * invalid_argument for a target that climbs out of where it begins.
 */
export function placeOf(target: string, home: string): Place {
  if (target.includes("\0") || target === "") throw outside(target);
  if (target === "~" || target.startsWith("~/")) {
    return { path: inside(join(home, target.slice(1)), home, target), link: null };
  }
  if (!target.startsWith("/")) {
    return { path: inside(join(home, "sky_workdir", target), home, target), link: null };
  }
  const path = normalize(target);
  if (isBelow(path, home) || isBelow(path, "/tmp")) return { path, link: null };
  if (path === "/") throw outside(target);
  const link = path.replace(/\/$/, "");
  return { path: join(home, ".sky", "file_mounts", link), link };
}

export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function inside(path: string, home: string, target: string): string {
  const clean = path.replace(/(.)\/$/, "$1");
  if (!isBelow(clean, home)) throw outside(target);
  return clean;
}

function outside(target: string): SkyError {
  return new SkyError("invalid_argument", `Cannot copy to '${target}': it is no place on a node`);
}
