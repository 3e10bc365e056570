/** SSH node pools for tests: several sshds on this machine, each a host with a login home of its own. */
import { join } from "@std/path";
import { ssh } from "../../../clouds/ssh/mod.ts";
import { findSshd, Sshd, type SshdOptions } from "../../support/sshd.ts";
import type { Site } from "../conformance.ts";

export const canServe = await findSshd() !== null;

export class PoolSite implements Site {
  readonly cloud = ssh;
  readonly infra: string = "ssh/lab";
  readonly hosts: readonly Sshd[];

  private constructor(hosts: readonly Sshd[]) {
    this.hosts = hosts;
  }

  /** `folder` becomes the HOME of the server: the pool `lab` of hosts h1, h2, … is written there. */
  static async open(
    folder: string,
    { count = 2, options = [] }: { count?: number; options?: readonly SshdOptions[] } = {},
  ): Promise<PoolSite> {
    const hosts = await Promise.all(Array.from({ length: count }, (_, i) => Sshd.start(options[i])));
    const site = new PoolSite(hosts);
    await Deno.mkdir(join(folder, ".sky"), { recursive: true });
    await Deno.writeTextFile(join(folder, ".sky", "ssh_node_pools.yaml"), site.poolText());
    return site;
  }

  poolText(): string {
    const user = Deno.env.get("USER") ?? (Deno.uid() === 0 ? "root" : "nobody");
    const lines = this.hosts.map(({ port, identityFile }, i) =>
      `    - { ip: 127.0.0.1, name: h${i + 1}, port: ${port}, identity_file: ${identityFile} }\n`
    );
    return `lab:\n  user: ${user}\n  hosts:\n${lines.join("")}`;
  }

  async cut(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
  }

  async heal(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.restart()));
  }

  async leftovers(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const [i, host] of this.hosts.entries()) {
      for await (const { name } of Deno.readDir(host.home)) found.push(`${name} on h${i + 1}`);
      for (const pid of await processesBelow(host.home)) found.push(`process ${pid} on h${i + 1}`);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.hosts) await host[Symbol.asyncDispose]();
  }
}

/** Processes of nodes: their environment names a directory below the login home. */
async function processesBelow(folder: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // It ended meanwhile, or belongs to another user: not ours.
    const environ = await Deno.readTextFile(`/proc/${name}/environ`).catch(() => "");
    if (environ.includes(`=${folder}/.sky/nodes/`)) found.push(Number(name));
  }
  return found;
}
