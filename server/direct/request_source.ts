/** A request's log as a source of streams: from where, why it waits, how it ended (wire.md §5.3). */
import { join } from "@std/path";
import type { RequestRecord } from "../../core/request.ts";
import type { Waiting } from "../../requests/mod.ts";
import type { Deps } from "../deps.ts";
import type { StreamEnd } from "../streams/encoder.ts";
import { upTo } from "../streams/file.ts";
import type { LogSource } from "../streams/pump.ts";
import { tailOffset } from "../streams/tail.ts";
import type { Ask, Subject } from "./subject.ts";

/** A short request is expected to start at once: its wait is told only when it lasts. */
const SHORT_PATIENCE_MS = 2000;

/** Throws request_not_found when it was swept meanwhile. */
export async function requestSource(id: string, ask: Ask, deps: Deps): Promise<Subject> {
  const record = await deps.engine.record(id);
  const path = pathOf(id, deps);
  const size = await logSize(id, deps);
  const offset = ask.tail === null ? ask.offset : await tailOffset(path, { lines: ask.tail, size });
  const source: LogSource = {
    open(signal) {
      const log = deps.engine.log(id);
      if (ask.follow) return Promise.resolve({ offset, log: log.reader({ offset, signal }) });
      return Promise.resolve({
        offset,
        log: upTo(log.follow({ offset, signal }), Math.max(0, size - offset)),
      });
    },
    patience: record.lane === "long" ? 0 : SHORT_PATIENCE_MS,
    async end(signal): Promise<StreamEnd> {
      // "The stream ended" must mean "the request is final" (wire.md §18.11).
      const after = ask.follow ? await deps.engine.wait(id, signal) : await deps.engine.record(id);
      const cancelled = after.status === "CANCELLED";
      return {
        status: after.status,
        exitCode: null,
        notice: cancelled ? `'${after.name}' request ${id} cancelled` : null,
      };
    },
    ...(ask.follow && record.status === "PENDING" ? { waiting: waiting(record, deps) } : {}),
  };
  return { source, offset, history: ask.tail === null ? 0 : Math.max(0, size - offset) };
}

function waiting(first: RequestRecord, deps: Deps): () => string | null {
  let asked = false;
  return () => {
    if (!asked) {
      asked = true;
      return `[dim]Checking request: ${first.id}[/dim]`;
    }
    const position = deps.engine.position(first.id);
    return position === null ? null : `[dim]${waitText(first, position)}[/dim]`;
  };
}

function waitText(record: RequestRecord, { ahead, reason }: Waiting): string {
  const why = reason === "" ? `Waiting for '${record.name}' request to be scheduled: ${record.id}` : reason;
  return ahead > 1 ? `${why} (${ahead} ahead)` : why;
}

function pathOf(id: string, deps: Deps): string {
  return join(deps.home.requests, `${id}.log`);
}

/** Bytes of a request's log. */
export async function logSize(id: string, deps: Deps): Promise<number> {
  try {
    return (await Deno.stat(pathOf(id, deps))).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
