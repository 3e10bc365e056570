/**
 * Tearing down a controller of managed jobs or services (cli.md §3.7): what is lost, what still runs, the question.
 * Only servers that keep controllers as clusters have any; the tear-down itself is lifecycle.ts's.
 */
import { isSkyError, SkyError } from "../../core/errors.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Io } from "../command.ts";
import { ask } from "../follow.ts";
import { CONTROLLER_NAMES, type ControllerKind, controllerKind } from "./find_clusters.ts";

/** Returns when the controller may go. Throws not_supported while something runs on it, aborted at a "no". */
export async function confirmControllerDown(
  io: Io,
  sky: Sky,
  { name, purge }: { name: string; purge: boolean },
): Promise<void> {
  const { out } = io;
  const kind: ControllerKind = controllerKind(name) ?? "jobs";
  if (purge) {
    out.line("Since --purge is set, errors will be ignored and controller will be removed from local state.");
    out.line("Skipping confirmation.");
    return;
  }
  if (kind === "serve") out.line(`Terminate sky serve controller: ${name}.`);
  const { yellow } = out.style;
  out.line(yellow(`WARNING: Tearing down the ${CONTROLLER_NAMES[kind]}. Please be aware of the following:`));
  out.line(
    kind === "jobs"
      ? " * All logs and status information of the managed jobs (output of `sky jobs queue`) will be lost."
      : " * All logs and status information of the services (output of `sky serve status`) will be lost.",
  );
  out.spinner(
    kind === "jobs"
      ? "[bold cyan]Checking for in-progress managed jobs and pools[/]"
      : "[bold cyan]Checking for live services[/]",
  );
  const busy = kind === "jobs" ? await jobsInTheWay(io, sky) : await servicesInTheWay(io, sky);
  out.spinner(null);
  if (busy !== null) throw new SkyError("not_supported", busy);
  const what = kind === "jobs" ? "in-progress managed jobs or running pools" : "live services";
  out.line(` * No ${what} found. It should be safe to terminate (see caveats above).`);
  const answer = await out.prompt(`To proceed, please type ${out.style.bold("'delete'")}`);
  if (answer !== "delete") throw new SkyError("aborted", "Aborted!");
}

async function jobsInTheWay(io: Io, sky: Sky): Promise<string | null> {
  const [queue, pools] = await Promise.all([
    emptyWhenDown(ask(io, sky, "managedJobs", { skip_finished: true, all_users: true })),
    emptyWhenDown(ask(io, sky, "pools", { pool_names: null })),
  ]);
  const jobs = queue?.jobs ?? [];
  if (jobs.length > 0) {
    const list = jobs.map((job) => `${job["job_id"]} (${job["job_name"] ?? "-"}, ${job["status"]})`).join(
      ", ",
    );
    return "In-progress managed jobs found. To avoid resource leakage, cancel all jobs first: sky jobs cancel -a\n" +
      `Managed jobs: ${list}`;
  }
  if ((pools ?? []).length === 0) return null;
  return "Running pools found. To avoid resource leakage, terminate all pools first: sky jobs pool down -a\n" +
    `Pools: ${(pools ?? []).map((pool) => pool["name"]).join(", ")}`;
}

async function servicesInTheWay(io: Io, sky: Sky): Promise<string | null> {
  const services = await emptyWhenDown(ask(io, sky, "services", { service_names: null })) ?? [];
  if (services.length === 0) return null;
  return "Live services found. To avoid resource leakage, terminate all services first: sky serve down -a\n" +
    `Services: ${services.map((service) => service["name"]).join(", ")}`;
}

/**
 * Whether the question about jobs, pools or services failed only because there is no controller to ask: it is not up,
 * or the server cannot reach the network and none was ever started.
 */
export async function noController(
  io: Io,
  sky: Sky,
  failure: { error: unknown; kind: ControllerKind },
): Promise<boolean> {
  const { error, kind } = failure;
  if (isSkyError(error, "cluster_not_up")) return true;
  if (!isSkyError(error) || !error.message.includes("due to network error")) return false;
  const names = [`sky-${kind}-controller-*`];
  const found = await ask(io, sky, "status", { cluster_names: names, all_users: true });
  return found.length === 0;
}

/** A controller that is not up runs nothing; any other failure must stop us. */
async function emptyWhenDown<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (isSkyError(error, "cluster_not_up")) return null;
    throw error;
  }
}
