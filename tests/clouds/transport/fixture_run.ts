/** A "server" to be killed while a request's program runs: `processes folder, shell text`. */
import { runProcess } from "../../../clouds/transport/process.ts";

const [processes, text] = Deno.args;
await runProcess(["sh", "-c", text!], {
  signal: new AbortController().signal,
  env: { PATH: Deno.env.get("PATH")! },
  cwd: "/",
  processes: processes!,
});
