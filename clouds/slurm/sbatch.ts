/**
 * The command line of `sbatch` (domain.md §8.6): what we ask for, and what the user adds by `sbatch_options`. Owns
 * which options are ours alone. Pure. Nothing secret is ever on it.
 */

export interface Wanted {
  readonly name: string;
  readonly partition: string;
  readonly numNodes: number;
  readonly cpus: number;
  /** 0: not given out, so not asked for. */
  readonly memoryGb: number;
  readonly gpu: { readonly type: string | null; readonly count: number } | null;
  /** The partition's limit; null for none. */
  readonly maxTime: string | null;
  /** Where the batch script's own output goes; `%j` is the job's id. */
  readonly output: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Ours, and what would make something else of the job than an allocation that we hold. Short forms included. */
const PROTECTED = new Set(
  ("job-name J output o error e nodes N wait-all-nodes no-requeue requeue cpus-per-task c mem mem-per-cpu gres " +
    "partition p array a wrap wait W test-only parsable input i open-mode quiet Q help h usage version V chdir D " +
    "gpus G gpus-per-node gpus-per-task cluster-constraint clusters M hold-never get-user-env export-file bcast")
    .split(" "),
);

/** The arguments after `sbatch`, and a warning for every option that was left out. */
export function sbatchArguments(wanted: Wanted): { args: string[]; warnings: string[] } {
  const { gpu } = wanted;
  const { extra, warnings, names } = extraArguments(wanted.options);
  const hasTime = names.has("time") || names.has("t");
  const args = [
    "--parsable",
    `--job-name=${wanted.name}`,
    `--output=${wanted.output}`,
    `--error=${wanted.output}`,
    `--partition=${wanted.partition}`,
    `--nodes=${wanted.numNodes}`,
    "--wait-all-nodes=1",
    "--no-requeue",
    ...(names.has("ntasks-per-node") || names.has("ntasks") || names.has("n") ? [] : ["--ntasks-per-node=1"]),
    `--cpus-per-task=${Math.max(1, Math.ceil(wanted.cpus))}`,
    ...(wanted.memoryGb > 0 ? [`--mem=${Math.ceil(wanted.memoryGb * 1024)}M`] : []),
    ...(gpu === null ? [] : [`--gres=gpu:${gpu.type === null ? "" : `${gpu.type}:`}${gpu.count}`]),
    ...(wanted.maxTime === null || hasTime ? [] : [`--time=${wanted.maxTime}`]),
    ...extra,
  ];
  return { args, warnings };
}

function extraArguments(options: Readonly<Record<string, unknown>>) {
  const extra: string[] = [];
  const warnings: string[] = [];
  const names = new Set<string>();
  for (const [key, value] of Object.entries(options)) {
    const name = key.replace(/^--?/, "").replaceAll("_", "-");
    const fault = faultOf(name, value);
    if (fault !== null) {
      warnings.push(`sbatch option ${JSON.stringify(key)} is left out: ${fault}`);
      continue;
    }
    if (value === false) continue;
    names.add(name);
    const flag = value === true || value === null || value === "";
    if (name.length === 1) extra.push(`-${name}`, ...(flag ? [] : [String(value)]));
    else extra.push(flag ? `--${name}` : `--${name}=${value}`);
  }
  return { extra, warnings, names };
}

function faultOf(name: string, value: unknown): string | null {
  if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(name)) return "it is no name of an option";
  if (PROTECTED.has(name)) return "sky sets it";
  if (value !== null && !["string", "number", "boolean"].includes(typeof value)) {
    return "its value is no text";
  }
  // deno-lint-ignore no-control-regex -- Control characters are what is looked for.
  if (/[\x00-\x1f]/.test(String(value))) return "a control character is in its value";
  return null;
}
