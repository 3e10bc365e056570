/** A "server" to be killed while a script of it runs on a node: `folder, host as JSON`. */
import { sshShell } from "../../../clouds/transport/ssh/mod.ts";

const [folder, host] = Deno.args;
const log = { line: () => {}, status: () => {} };
const shell = sshShell(JSON.parse(host!), { folder: folder!, env: (name) => Deno.env.get(name), log });
const { signal } = new AbortController();
await shell.detach("echo $$ >~/job; exec >/dev/null 2>&1; exec sleep 100", { signal });
await shell.exec("echo $$ >~/script; sleep 100", { signal });
