/** `sky gpus list` and its old name `sky show-gpus` (cli.md §4.2). The tables are gpus_table.ts's. */
import type { AcceleratorsView } from "../../api/checks.ts";
import { canonicalCloud } from "../../core/cloud_names.ts";
import { isSkyError } from "../../core/errors.ts";
import { parseInfra } from "../../core/infra.ts";
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io, Option } from "../command.ts";
import { ask } from "../follow.ts";
import { CONFIG, OUTPUT } from "../options.ts";
import { usage } from "../parse.ts";
import { type Place, poolLines, poolsWithGpus } from "./gpus_places.ts";
import { type SlurmGpus, slurmGpus, slurmLines } from "./gpus_slurm.ts";
import { acceleratorOffers, detailTables, type Offer, quantityTables } from "./gpus_table.ts";
import { settled, unwrap } from "./settled.ts";

const OPTIONS: readonly Option[] = [
  { name: "all", short: "a", kind: "flag", help: "Show every accelerator, with prices." },
  { name: "infra", kind: "text", complete: "infra", help: "Only this infra: cloud or cloud/region." },
  { name: "cloud", kind: "text", hidden: true, help: "Deprecated: use --infra." },
  { name: "region", kind: "text", hidden: true, help: "Deprecated: use --infra." },
  { name: "all-regions", kind: "flag", help: "Show the named accelerator in every region." },
  { name: "verbose", short: "v", kind: "flag", help: "Show more about each infra." },
];
const ARGS = [{ name: "ACCELERATOR_STR", required: false, many: false }];
const HELP =
  "List the accelerators of the enabled infra. With a name (a regular expression, any case) and perhaps a " +
  "quantity: what has it, and at which price.";

export const list: Command = {
  name: "list",
  summary: "List accelerators and their prices.",
  help: HELP,
  examples: [
    "sky gpus list",
    "sky gpus list H100",
    "sky gpus list A100:8 --all-regions",
    "sky gpus list -a --infra aws",
    "sky gpus list T4 -o json",
  ],
  args: ARGS,
  options: [...OPTIONS, ...OUTPUT, ...CONFIG],
  run: (io, input) => run(io, input, { json: input.text("output") === "json" }),
};

export const showGpus: Command = {
  name: "show-gpus",
  summary: "List accelerators and their prices (deprecated: use `sky gpus list`).",
  help: HELP,
  examples: ["sky show-gpus", "sky show-gpus H100"],
  args: ARGS,
  options: [...OPTIONS, ...CONFIG],
  hidden: true,
  run: (io, input) => {
    io.out.error(
      io.out.style.yellow(
        "WARNING: `sky show-gpus` has been renamed to `sky gpus list` and will be removed in a future release. " +
          "Please use the latter instead.",
      ) + "\n",
    );
    return run(io, input, { json: false });
  },
};

interface Wish {
  readonly name: string | null;
  readonly quantity: number | null;
  readonly cloud: string | null;
  readonly region: string | null;
  readonly all: boolean;
  readonly allRegions: boolean;
  readonly verbose: boolean;
}

async function run(io: Io, input: Input, { json }: { json: boolean }): Promise<number> {
  const { out } = io;
  const wish = readWish(input);
  const sky = await io.sky();
  if (wish.cloud === "kubernetes" && !(await isEnabled("kubernetes", io, sky))) {
    if (json) out.json({});
    else out.line("Kubernetes is not enabled. To fix, run: sky check kubernetes ");
    return 0;
  }
  if (json) {
    out.json(acceleratorOffers(await accelerators(io, sky, wish)));
    return 0;
  }
  // Both questions are under way before the first answer.
  const shared = sharedOut(io, sky, wish);
  const rest = wish.name === null && wish.cloud !== "slurm"
    ? settled(quantitiesAndDetails(io, sky, wish))
    : null;
  const sections = await shared;
  for (const [i, lines] of sections.entries()) {
    if (i > 0) out.line();
    for (const line of lines) out.line(line);
  }
  if (wish.cloud === "slurm" && sections.length === 0) out.line(await whyNoSlurm(io, sky, wish));
  if (wish.cloud === "slurm") return 0;
  if (sections.length > 0) return wish.cloud === "ssh" ? 0 : await showClouds(io, sky, wish);
  if (rest === null) return await showOne(io, sky, wish);
  const [counts, details] = unwrap(await rest);
  if (Object.keys(counts).length === 0) {
    out.line(
      `No accelerators in the enabled infra. To see what is enabled, run: ${out.style.bold("sky check")}`,
    );
    return 0;
  }
  out.line(quantityTables(counts, { others: wish.all }));
  if (details !== null) {
    for (const table of detailTables(offersOf(details), { region: "none" })) {
      out.line();
      out.line(table);
    }
    return 0;
  }
  out.line();
  out.line("Hint: use -a/--all to see all accelerators (including non-common ones) and pricing.");
  return 0;
}

function quantitiesAndDetails(io: Io, sky: Sky, wish: Wish) {
  return Promise.all([
    ask(io, sky, "listAcceleratorCounts", {
      gpus_only: true,
      clouds: wish.cloud,
      region_filter: wish.region,
    }),
    wish.all ? accelerators(io, sky, wish) : null,
  ]);
}

/** The sections of machines that are shared out, as lines. */
async function sharedOut(io: Io, sky: Sky, wish: Wish): Promise<string[][]> {
  const { style } = io.out;
  const quantity = wish.quantity !== null;
  const [pools, slurm] = await Promise.all([poolsOf(io, sky, wish), slurmOf(io, sky, wish)]);
  return [
    ...(pools.length > 0 ? [poolLines(pools, style, { quantity })] : []),
    ...(slurm !== null && slurm.clusters.length > 0 ? [slurmLines(slurm, style, { quantity })] : []),
  ];
}

async function slurmOf(io: Io, sky: Sky, wish: Wish): Promise<SlurmGpus | null> {
  const { cloud, region, name, quantity, verbose } = wish;
  if (cloud !== null && cloud !== "slurm") return null;
  const place = cloud === "slurm" ? region : null;
  return await slurmGpus(io, sky, { name, quantity, place, nodes: verbose && name === null });
}

async function whyNoSlurm(io: Io, sky: Sky, { name, quantity }: Wish): Promise<string> {
  if (!(await isEnabled("slurm", io, sky))) return "Slurm is not enabled. To fix, run: sky check slurm ";
  if (name === null) {
    return "No GPUs found in any Slurm partition. To further debug, run: sky check slurm ";
  }
  const amount = quantity === null ? "" : ` with requested quantity ${quantity}`;
  return `Resources '${name}'${amount} not found in any Slurm partition. ` +
    "To show available accelerators on Slurm, run: sky gpus list --infra slurm ";
}

async function poolsOf(io: Io, sky: Sky, { cloud, region, name, quantity }: Wish): Promise<Place[]> {
  if (cloud !== null && cloud !== "ssh") return [];
  const wish = { name, quantity, place: cloud === "ssh" ? region : null };
  return await poolsWithGpus(io, sky, wish).catch(async (error) => {
    // SkyPilot's server fails to look where it lacks what it would look with; then SSH isn't enabled either.
    if (isSkyError(error) && !(await isEnabled("ssh", io, sky))) return [];
    throw error;
  });
}

/** What is below the section of machines that are shared out: the rest, if there is any. */
async function showClouds(io: Io, sky: Sky, wish: Wish): Promise<number> {
  const { out } = io;
  const all = offersOf(await accelerators(io, sky, wish));
  const sold = new Map(
    [...all].map(([name, offers]) =>
      [name, offers.filter(({ cloud }) => !["SSH", "Slurm"].includes(cloud))] as const
    )
      .filter(([, offers]) => offers.length > 0),
  );
  if (sold.size === 0) return 0;
  out.line();
  out.line();
  out.line(out.style.green(out.style.bold("Cloud GPUs")));
  const region = wish.allRegions ? "all" : "cheapest";
  if (wish.name !== null) {
    out.line(detailTables(sold, { region }).join("\n\n"));
    return 0;
  }
  const counts = [...sold].map(([name, offers]) =>
    [name, [...new Set(offers.flatMap((offer) => offer.accelerator_count ?? []))]] as const
  );
  out.line(quantityTables(Object.fromEntries(counts), { others: wish.all }));
  return 0;
}

async function showOne(io: Io, sky: Sky, wish: Wish): Promise<number> {
  const { out } = io;
  const offers = offersOf(await accelerators(io, sky, wish));
  if (offers.size === 0) {
    const amount = wish.quantity === null ? "" : ` with requested quantity ${wish.quantity}`;
    out.line(
      `Resources '${wish.name}'${amount} not found in cloud catalogs. ` +
        `To show available accelerators, run: ${out.style.bold("sky gpus list --all")}`,
    );
    return 0;
  }
  out.line(detailTables(offers, { region: wish.allRegions ? "all" : "cheapest" }).join("\n\n"));
  return 0;
}

function accelerators(io: Io, sky: Sky, wish: Wish): Promise<AcceleratorsView> {
  return ask(io, sky, "listAccelerators", {
    gpus_only: wish.name === null,
    name_filter: wish.name,
    region_filter: wish.region,
    quantity_filter: wish.quantity,
    clouds: wish.cloud,
    all_regions: wish.allRegions,
    case_sensitive: false,
  });
}

function offersOf(view: AcceleratorsView): Map<string, Offer[]> {
  return new Map(Object.entries(acceleratorOffers(view)).filter(([, offers]) => offers.length > 0));
}

async function isEnabled(cloud: string, io: Io, sky: Sky): Promise<boolean> {
  const enabled = await ask(io, sky, "enabledClouds", { expand: "True" });
  return enabled.some((infra) => infra === cloud || infra.startsWith(`${cloud}/`));
}

function readWish(input: Input): Wish {
  const [accelerator] = input.args;
  const all = input.flag("all");
  const allRegions = input.flag("all-regions");
  if (all && accelerator !== undefined) throw usage("--all is only allowed without a GPU name.");
  const { cloud, region } = readInfra(input);
  if (allRegions && region !== null) {
    throw usage("--all-regions and --region flags cannot be used simultaneously.");
  }
  if (region !== null && cloud === null) {
    throw usage("The --region flag is only valid when the --cloud flag is set.");
  }
  if (allRegions && accelerator === undefined) {
    throw usage("The --all-regions flag is only valid when an accelerator is specified.");
  }
  return { ...readAccelerator(accelerator), cloud, region, all, allRegions, verbose: input.flag("verbose") };
}

function readInfra(input: Input): { cloud: string | null; region: string | null } {
  const infra = input.text("infra");
  if (infra !== undefined) return parseInfra(infra);
  const cloud = input.text("cloud");
  return { cloud: cloud === undefined ? null : canonicalCloud(cloud), region: input.text("region") ?? null };
}

function readAccelerator(text: string | undefined): { name: string | null; quantity: number | null } {
  if (text === undefined) return { name: null, quantity: null };
  const [name = "", amount, ...rest] = text.split(":");
  if (rest.length > 0) {
    throw usage(`Invalid accelerator string ${text}. Expected format: <accelerator_name>[:<quantity>].`);
  }
  if (amount === undefined) return { name, quantity: null };
  const quantity = Number(amount);
  if (/^\d+(\.\d+)?$/.test(amount) && quantity > 0) return { name, quantity };
  throw usage(`Invalid accelerator quantity ${amount}. Expected a positive integer.`);
}
