/**
 * What a person waits for on machines: sshd nodes and Slurm in a sandbox (sandbox.ts) on this machine. Owns going in
 * there; the figures are machine_rows.ts's. Where no sandbox can be had there are no rows, and one line says why.
 */
import { fromFileUrl } from "@std/path";
import { inSandbox, whyNoSandbox } from "../sandbox.ts";
import type { Row } from "./table.ts";

export async function machinesRows(): Promise<Row[]> {
  const reason = await whyNoSandbox();
  if (reason !== null) {
    await Deno.stderr.write(new TextEncoder().encode(`skipped: machines: ${reason}\n`));
    return [];
  }
  const inside = fromFileUrl(new URL("./machine_rows.ts", import.meta.url));
  const run = inSandbox(Deno.execPath(), ["run", "-A", "--no-check", inside]);
  try {
    const { success, stdout } = await new Deno.Command(run.program, {
      args: [...run.args],
      env: run.env,
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).output();
    if (!success) throw new Error("Cannot measure on machines: it failed");
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await run.sweep();
  }
}
