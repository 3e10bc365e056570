/** Which clouds there are: name → lazy import, so that only those in use are loaded. One line per cloud. */
import { SkyError } from "../core/errors.ts";
import type { Cloud } from "./cloud.ts";

type Loader = () => Promise<Cloud>;

const LOADERS: Readonly<Record<string, Loader>> = {
  ssh: async () => (await import("./ssh/mod.ts")).ssh,
  slurm: async () => (await import("./slurm/mod.ts")).slurm,
  local: async () => (await import("./local/mod.ts")).local,
};

/** The clouds a server knows. */
export interface Clouds {
  /** Canonical names, in the order in which they are checked and listed. */
  readonly names: readonly string[];
  /** Throws not_supported for a name that is not among `names`. */
  load(name: string): Promise<Cloud>;
  /** Names that were loaded so far. */
  readonly loaded: ReadonlySet<string>;
}

/** The registered clouds; `extra` adds some, or replaces them, e.g. fakes in tests. */
export function openClouds(extra: Readonly<Record<string, Loader>> = {}): Clouds {
  const loaders = new Map([...Object.entries(LOADERS), ...Object.entries(extra)]);
  const loaded = new Set<string>();
  return {
    loaded,
    names: [...loaders.keys()],
    load(name) {
      const loader = loaders.get(name);
      if (loader !== undefined) {
        loaded.add(name);
        return loader();
      }
      return Promise.reject(
        new SkyError("not_supported", `Cannot use the infra '${name}': this version of sky can't reach it`, {
          hint: `Use one of: ${[...loaders.keys()].join(", ")}`,
        }),
      );
    },
  };
}
