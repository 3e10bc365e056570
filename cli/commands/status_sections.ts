/**
 * What `sky status` shows below the clusters (cli.md §3.3): managed jobs, pools, services. A section that cannot be
 * had is one line in its place and hides nothing else (wire.md §18.34). Tables are loaded when there is something in them.
 */
import type { ManagedJobsView } from "../../api/checks.ts";
import { isSkyError } from "../../core/errors.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Io } from "../command.ts";
import { ask } from "../follow.ts";
import { QUEUE_FIELDS, USER_FIELDS } from "./jobs_fields.ts";
import type { ServiceView } from "./serve_table.ts";
import { type Outcome, type Settled, settled } from "./settled.ts";

/** How many managed jobs are shown. */
const LATEST = 5;

export interface Wanted {
  readonly jobs: boolean;
  readonly pools: boolean;
  readonly services: boolean;
  readonly allUsers: boolean;
}

/** Answers under way; null: not wanted. */
export interface Sections {
  readonly sky: Sky;
  readonly allUsers: boolean;
  readonly jobs: Settled<ManagedJobsView> | null;
  readonly pools: Settled<ServiceView[]> | null;
  readonly services: Settled<ServiceView[]> | null;
}

/** Ask for all of them at once. */
export function askSections(io: Io, sky: Sky, wanted: Wanted): Sections {
  const { allUsers } = wanted;
  const fields = [...QUEUE_FIELDS, ...(allUsers ? USER_FIELDS : [])];
  const query = { refresh: false, skip_finished: true, all_users: allUsers, limit: LATEST, fields };
  return {
    sky,
    allUsers,
    jobs: wanted.jobs ? settled(ask(io, sky, "managedJobs", query)) : null,
    pools: wanted.pools
      ? settled(ask(io, sky, "pools", { pool_names: null })) as Settled<ServiceView[]>
      : null,
    services: wanted.services
      ? settled(ask(io, sky, "services", { service_names: null })) as Settled<ServiceView[]>
      : null,
  };
}

/** Print them; returns the hints about them. */
export async function showSections(io: Io, sections: Sections): Promise<string[]> {
  const { jobs, pools, services } = sections;
  return [
    ...(jobs === null ? [] : await showJobs(io, sections, await answer(io, jobs, "managed jobs"))),
    ...(pools === null ? [] : await showPools(io, sections, await answer(io, pools, "pools"))),
    ...(services === null ? [] : await showServices(io, sections, await answer(io, services, "services"))),
  ];
}

/** Before a spinner is worth its flicker. */
const PATIENCE_MS = 150;

/** Wait, with a spinner when it takes a while. */
async function answer<T>(io: Io, pending: Settled<T>, what: string): Promise<Outcome<T>> {
  if (!io.out.isTty) return await pending;
  const timer = setTimeout(() => io.out.spinner(`[cyan]Checking ${what}[/]`), PATIENCE_MS);
  try {
    return await pending;
  } finally {
    clearTimeout(timer);
    io.out.spinner(null);
  }
}

function title(io: Io, text: string): void {
  const { out } = io;
  out.line();
  out.line(out.style.bold(out.style.cyan(text)));
}

/** The line in place of a section; null when the failure means "there are none". */
async function failureLine(
  io: Io,
  sections: Sections,
  { error, what }: { error: unknown; what: "managed jobs" | "pools" | "services" },
): Promise<string | null> {
  if (!isSkyError(error) || error.code === "aborted") throw error;
  const { noController } = await import("./controllers.ts");
  const kind = what === "services" ? "serve" : "jobs";
  if (await noController(io, sections.sky, { error, kind })) return null;
  const { qualifiedName } = await import("../../api/errors.ts");
  return `Failed to query ${what}: ${qualifiedName(error)}: ${error.message.split("\n")[0]}`;
}

async function showJobs(
  io: Io,
  sections: Sections,
  outcome: Outcome<ManagedJobsView>,
): Promise<string[]> {
  const { out } = io;
  const { allUsers } = sections;
  const { bold } = out.style;
  title(io, "Managed jobs");
  const none = `No in-progress managed jobs. (See: ${bold("sky jobs -h")})`;
  if ("error" in outcome) {
    out.line(await failureLine(io, sections, { ...outcome, what: "managed jobs" }) ?? none);
    return [];
  }
  const { jobs, total, total_no_filter: everything } = outcome.value;
  if (jobs.length === 0) out.line(none);
  else {
    const { jobsText } = await import("./jobs_table.ts");
    out.line(jobsText(outcome.value, { users: allUsers, verbose: false, now: io.now() }));
  }
  const more = `To see all managed jobs: ${bold("sky jobs queue")}`;
  if (jobs.length === 0) return everything > 0 ? [`* ${more}`] : [];
  const active = Math.max(total, new Set(jobs.map((job) => job["job_id"])).size);
  const who = active === 1 ? "1 managed job is" : `${active} managed jobs are`;
  return [`* ${who} in progress${active > LATEST ? ` (${LATEST} latest ones shown)` : ""}. ${more}`];
}

async function showPools(
  io: Io,
  sections: Sections,
  outcome: Outcome<ServiceView[]>,
): Promise<string[]> {
  const { out } = io;
  if ("error" in outcome) {
    const line = await failureLine(io, sections, { ...outcome, what: "pools" });
    if (line === null) return [];
    title(io, "Pools");
    out.line(line);
    return [];
  }
  if (outcome.value.length === 0) return [];
  title(io, "Pools");
  const { serviceTable } = await import("./serve_table.ts");
  out.line(serviceTable(outcome.value, { kind: "pool", verbose: false, now: io.now() }));
  return [`* To see detailed pool status: ${out.style.bold("sky jobs pool status -v")}`];
}

async function showServices(
  io: Io,
  sections: Sections,
  outcome: Outcome<ServiceView[]>,
): Promise<string[]> {
  const { out } = io;
  title(io, "Services");
  if ("error" in outcome) {
    out.line(await failureLine(io, sections, { ...outcome, what: "services" }) ?? "No live services.");
    return [];
  }
  if (outcome.value.length === 0) {
    out.line("No live services.");
    return [];
  }
  const { serviceTable } = await import("./serve_table.ts");
  out.line(serviceTable(outcome.value, { kind: "service", verbose: false, now: io.now() }));
  return [`* To see detailed service status: ${out.style.bold("sky serve status -v")}`];
}
