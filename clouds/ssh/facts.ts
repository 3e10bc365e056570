/**
 * What hosts have told of themselves, kept per cloud folder so that choosing a host asks none: owns `hosts.json`,
 * and for how long a host that did not answer is left alone. Asking is probe.ts's text.
 */
import { join } from "@std/path";
import type { HostFacts } from "./probe.ts";

export interface Known {
  readonly facts: HostFacts | null;
  /** Unix ms of the last answer; 0 for none. */
  readonly seenAt: number;
  /** Why it did not answer last; null when it did. */
  readonly failure: string | null;
  readonly failedAt: number;
}

/** A host that could not be reached is tried again after this long. */
const AVOID_MS = 20_000;

export class FactBook {
  readonly #folder: string;
  #loading: Promise<Map<string, Known>> | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** By machine; null if it was never asked. */
  async of(machine: string): Promise<Known | null> {
    return (await this.#all()).get(machine) ?? null;
  }

  async note(machine: string, facts: HostFacts, now: number): Promise<void> {
    const all = await this.#all();
    all.set(machine, { facts, seenAt: now, failure: null, failedAt: 0 });
    await this.#save(all);
  }

  /** It answered: nothing but that is new. */
  async noteAlive(machine: string): Promise<void> {
    const all = await this.#all();
    const before = all.get(machine);
    if (before === undefined || before.failure === null) return;
    all.set(machine, { ...before, failure: null, failedAt: 0 });
    await this.#save(all);
  }

  async noteFailure(machine: string, failure: string, now: number): Promise<void> {
    const all = await this.#all();
    const before = all.get(machine);
    all.set(machine, { facts: before?.facts ?? null, seenAt: before?.seenAt ?? 0, failure, failedAt: now });
    await this.#save(all);
  }

  #all(): Promise<Map<string, Known>> {
    return this.#loading ??= load(join(this.#folder, "hosts.json"));
  }

  /** One write at a time; each writes what is known by then. */
  #save(all: Map<string, Known>): Promise<void> {
    const turn = this.#writing.then(async () => {
      await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const path = join(this.#folder, "hosts.json");
      const fresh = `${path}.${crypto.randomUUID()}`;
      await Deno.writeTextFile(fresh, JSON.stringify({ version: 1, hosts: Object.fromEntries(all) }), {
        mode: 0o600,
      });
      await Deno.rename(fresh, path);
    });
    this.#writing = turn.catch(() => {}); // The caller sees the failure; the next in line must not.
    return turn;
  }
}

async function load(path: string): Promise<Map<string, Known>> {
  try {
    const data = JSON.parse(await Deno.readTextFile(path));
    return new Map(data?.version === 1 ? Object.entries(data.hosts as Record<string, Known>) : []);
  } catch (error) {
    // It can be learned again by asking.
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return new Map();
    throw error;
  }
}

/** Whether it did not answer a moment ago. */
export function isAvoided(known: Known | null, now: number): boolean {
  return known !== null && known.failure !== null && now - known.failedAt < AVOID_MS;
}
