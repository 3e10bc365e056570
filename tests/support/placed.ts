/** A sky that runs behind some words of argv: as another user, or in a mount namespace of its own (root only). */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { type Registration, signal, TestSky } from "./sky.ts";

export const isRoot = Deno.uid() === 0;

export interface Placement {
  readonly before?: readonly string[];
  readonly env?: Record<string, string>;
  /** Instead of the program under test. */
  readonly program?: readonly string[];
  readonly namespace?: Namespace;
}

export class PlacedSky extends TestSky {
  override readonly program: readonly string[];
  readonly #namespace: Namespace | undefined;

  constructor(home: string, { before, env, program, namespace }: Placement) {
    super(home, env ?? {});
    const enter = namespace?.enter ?? [];
    this.program = [...enter, ...before ?? [], ...program ?? new TestSky(home).program];
    this.#namespace = namespace;
  }

  override async registration(): Promise<Registration | undefined> {
    if (this.#namespace === undefined) return await super.registration();
    const path = `${this.#namespace.root}${join(this.env.SKY_HOME!, "server.json")}`;
    return await Deno.readTextFile(path).then(JSON.parse, () => undefined);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#namespace?.end();
  }
}

export interface Namespace {
  /** argv that enters it. */
  readonly enter: readonly string[];
  /** Its file system as seen from outside. */
  readonly root: string;
  end(): Promise<void>;
}

/** A mount namespace made by a shell script, whose `$1` is the home. Commands in it start in the home's `work`. */
export async function makeNamespace(home: string, script: string): Promise<Namespace> {
  const holder = new Deno.Command("unshare", {
    args: [
      "-m",
      "--propagation",
      "private",
      "sh",
      "-ec",
      `${script}\necho ready; exec sleep 600`,
      "sh",
      home,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = holder.stdout.getReader();
  const { value } = await reader.read();
  assertEquals(new TextDecoder().decode(value), "ready\n");
  await reader.cancel();
  const change = ["sh", "-c", `cd "$1" && shift && exec "$@"`, "sh", join(home, "work")];
  return {
    enter: ["/usr/bin/nsenter", "-t", String(holder.pid), "-m", ...change],
    root: `/proc/${holder.pid}/root`,
    async end() {
      signal(holder.pid, "SIGKILL");
      await holder.status;
    },
  };
}
