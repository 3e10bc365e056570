/** `sky api cancel`: end requests that wait or run (cli.md §5.4). What they made stays. */
import { SkyError } from "../../../core/errors.ts";
import { plural } from "../../../core/format.ts";
import type { Command, Input, Io } from "../../command.ts";
import { ask } from "../../follow.ts";
import { CONFIG, YES } from "../../options.ts";
import { usage } from "../../parse.ts";

const PHRASE = "cancel all requests";

export const command: Command = {
  name: "cancel",
  summary: "Cancel requests.",
  help: "Cancel requests by id (a unique beginning is enough), all of your own, or those of all users.\n\n" +
    "A cancelled launch leaves what it has made: sky down removes it.",
  examples: ["sky api cancel 0d35ffa7 a9d59602", "sky api cancel -a", "sky api cancel -u -y"],
  args: [{ name: "REQUEST_IDS", required: false, many: true, complete: "request" }],
  options: [
    { name: "all", short: "a", kind: "flag", help: "Cancel all your requests." },
    { name: "all-users", short: "u", kind: "flag", help: "Cancel the requests of all users." },
    ...YES,
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const ids = input.args;
  const everyones = input.flag("all-users");
  const mine = !everyones && input.flag("all");
  if (ids.length > 0 && (mine || everyones)) {
    throw usage("Request IDs cannot be combined with --all or --all-users.");
  }
  if (ids.length === 0 && !mine && !everyones) {
    throw usage("Nothing to cancel: give request IDs, -a/--all or -u/--all-users.");
  }
  if (ids.includes("")) throw usage("Invalid value: a request ID cannot be empty.");
  if (mine || everyones) await confirmAll(io, { everyones, yes: input.flag("yes") });
  const sky = await io.sky();
  if (everyones) out.line("Cancelling all users' requests...");
  else if (mine) out.line(`Cancelling all requests for user '${sky.user.id}'...`);
  else out.line(`Cancelling ${plural(ids.length, "request")}: ${ids.map((id) => `'${id}'`).join(", ")}...`);
  const cancelled = await ask(io, sky, "apiCancel", {
    request_ids: ids.length > 0 ? [...ids] : null,
    user_id: everyones ? null : sky.user.id,
  });
  const [first] = cancelled;
  if (first === undefined) out.line(out.style.green("No requests need to be cancelled."));
  else if (cancelled.length === 1) out.line(out.style.green(`Cancelled 1 request: ${first}`));
  else out.line(out.style.green(`Cancelled ${cancelled.length} requests.`));
  return 0;
}

/** Too much to lose for a yes/no: the words must be typed. */
async function confirmAll(io: Io, options: { everyones: boolean; yes: boolean }): Promise<void> {
  if (options.yes) return;
  const whose = options.everyones ? "ALL USERS'" : "YOUR";
  io.out.line(`This will cancel all ${whose} requests.`);
  const answer = await io.out.prompt(`To proceed, please type '${PHRASE}'`);
  if (answer !== PHRASE) throw new SkyError("aborted", "Aborted!");
}
