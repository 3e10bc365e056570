import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { ended, signal, withNode } from "../support.ts";
import { outputContract } from "./output_contract.ts";

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

outputContract("local", withNode);

Deno.test("startJob's exit code is kept when the job fills the disk", async (t) => {
  const probe = await new Deno.Command("unshare", { args: ["-m", "true"], stderr: "null" }).output()
    .catch(() => null);
  // Without the right to mount nothing can be filled; the reserved bytes are then looked at by hand.
  if (!probe?.success) {
    await t.step("bytes for the code are there before the job runs", () =>
      withNode(async ({ job, home }) => {
        await job(`stat -c %s ${"../sky_logs/1-t/.job/run/exit.tmp"} >size`);
        assertEquals((await Deno.readTextFile(join(home, "sky_workdir/size"))).trim(), "4");
      }));
    return;
  }
  await withNode(async ({ runner, home, root }) => {
    const small = join(root, "small");
    await Deno.mkdir(small);
    const mount = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=256k", "none", small] })
      .output();
    assert(mount.success);
    try {
      await Deno.symlink(small, join(home, "sky_logs"));
      await runner.startJob({ ...start, script: "head -c 10000000 /dev/zero; exit 9" }, { signal });
      assertEquals((await ended(runner, "1-t")).exitCode, 9);
    } finally {
      await new Deno.Command("umount", { args: ["-l", small] }).output();
    }
  });
});
