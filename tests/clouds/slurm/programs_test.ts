import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { directCarrier } from "../../../clouds/slurm/direct.ts";
import { findingSlurm, parsePrefix } from "../../../clouds/slurm/programs.ts";
import { pipeShell } from "../../../clouds/transport/remote/pipe_shell.ts";
import { signal } from "./support.ts";

Deno.test("parsePrefix takes plain words alone", () => {
  assertEquals(
    parsePrefix("motd\nsky-PATH=/opt/slurm/bin:/bin\nsky-SLURM_CONF=/etc/s.conf\n"),
    "env PATH=/opt/slurm/bin:/bin SLURM_CONF=/etc/s.conf ",
  );
  assertEquals(parsePrefix("sky-PATH=/bin\nsky-SLURM_CONF=\n"), "env PATH=/bin ");
  assertEquals(parsePrefix("sky-PATH=/bin;evil\nsky-SLURM_CONF=$(evil)\n"), "");
  assertEquals(parsePrefix(""), "");
});

Deno.test("findingSlurm uses what a login shell knows where commands don't", async () => {
  const root = await Deno.makeTempDir({ prefix: "sky-slurm-programs-" });
  const sh = "#!/bin/sh\n";
  // A login shell of a site: only it knows where Slurm is.
  const folder = join(root, "site");
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, "sbatch"), `${sh}echo "found $SLURM_CONF"\n`, { mode: 0o755 });
  const shell = join(root, "shell");
  const login =
    `${sh}echo welcome\nPATH=$PATH:${folder} SLURM_CONF=${root}/s.conf\nexport PATH SLURM_CONF\nshift\nexec /bin/sh "$@"\n`;
  await Deno.writeTextFile(shell, login, { mode: 0o755 });
  const tools = await Promise.all(["sh", "env", "head", "sleep", "cat", "setsid"].map(async (name) => {
    for (const place of ["/bin", "/usr/bin"]) {
      if (await Deno.stat(join(place, name)).then(() => true, () => false)) return join(place, name);
    }
    return null;
  }));
  const bin = join(root, "bin");
  await Deno.mkdir(bin);
  for (const tool of tools) {
    if (tool !== null) await Deno.symlink(tool, join(bin, tool.slice(dirname(tool).length + 1)));
  }
  try {
    const env = (name: string) => ({ PATH: bin, HOME: root, SHELL: shell })[name];
    const carrier = directCarrier(env, () => {});
    assertEquals((await pipeShell(carrier).exec("sbatch", { signal })).code, 127);
    const finding = pipeShell(findingSlurm(carrier, root));
    for (let i = 0; i < 2; i++) {
      assertEquals((await finding.exec("sbatch", { signal })).stdout, `found ${root}/s.conf\n`);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
