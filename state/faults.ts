/** Turns what SQLite and the file system throw into SkyErrors. Owns the words; leaves retrying to its callers. */
import { describe, isSkyError, SkyError } from "../core/errors.ts";

/** The machine-readable code of a libSQL or operating-system error, `""` when it has none. */
export function faultCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { extendedCode, code } = error as { extendedCode?: unknown; code?: unknown };
  if (typeof extendedCode === "string" && extendedCode !== "") return extendedCode;
  return typeof code === "string" ? code : "";
}

/** True if the fault says that nothing more fits on the disk, or that a quota is used up. */
export function isDiskFull(error: unknown): boolean {
  if (isSkyError(error)) return error.code === "disk_full";
  const code = faultCode(error);
  // The WAL index is a file, too: it reports a full disk in its own way.
  return code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE" || code === "ENOSPC" ||
    code === "EDQUOT" ||
    /\(os error (28|122)\)/.test(describe(error));
}

export function diskFull(path: string, cause?: unknown): SkyError {
  return new SkyError("disk_full", `No space is left on the disk of '${path}'`, {
    hint: "Free some space and try again; reading and cancelling still work",
    cause,
  });
}

export function corrupt(path: string, why: string, cause?: unknown): SkyError {
  return new SkyError("database_corrupt", `The database '${path}' is damaged: ${why}`, {
    hint: `It was left as it is. Put back a copy of it, or move it away to begin with an empty one:  ` +
      `mv '${path}' '${path}.damaged'; rm -f '${path}-wal' '${path}-shm'`,
    details: { path },
    cause,
  });
}

/** The SkyError for a fault of the database at `path`. SkyErrors pass unchanged. */
export function databaseFault(error: unknown, path: string): SkyError {
  if (isSkyError(error)) return error;
  if (isDiskFull(error)) return diskFull(path, error);
  const code = faultCode(error);
  const why = describe(error).replace(/^(SQLITE_\w+: )+/, "");
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") return corrupt(path, why, error);
  if (code.startsWith("SQLITE_BUSY") || code === "SQLITE_LOCKED") {
    return new SkyError("server_busy", `The database '${path}' is held by another program`, { cause: error });
  }
  return new SkyError("internal", `The database '${path}' failed: ${why}`, { cause: error });
}
