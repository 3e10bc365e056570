/** The fleet itself: that its tools do what the tests of ssh and Slurm rely on. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Fleet } from "../support/fleet.ts";

async function ssh(fleet: Fleet, node: number, command: string): Promise<{ code: number; stdout: string }> {
  const config = ["-F", `${fleet.folder}/ssh_config`, "-o", "BatchMode=yes", "-o", "ConnectTimeout=2"];
  const { code, stdout } = await new Deno.Command("ssh", {
    args: [...config, "-l", "dev", `n${node}`, command],
    stdin: "null",
    stderr: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}

Deno.test("Fleet nodes are machines of their own, and every fault can be done and undone", async () => {
  await using fleet = await Fleet.up(2);
  await using other = await Fleet.up(1);
  assertEquals((await ssh(other, 1, "hostname")).stdout, "n1\n");
  assertEquals((await ssh(fleet, 2, "hostname; pwd")).stdout, "n2\n/home/dev\n");
  await ssh(fleet, 1, "echo mine > file; echo ours > /tmp/file");
  assertEquals((await ssh(fleet, 2, "cat file")).code, 1);
  const unreachable = async () => assertEquals((await ssh(fleet, 1, "true")).code, 255);
  const fine = async () => assertEquals((await ssh(fleet, 1, "cat file")).stdout, "mine\n");
  for (
    const [breaks, mends] of [["cut", "heal"], ["part", "join"], ["freeze", "thaw"], [
      "killsshd",
      "startsshd",
    ]] as const
  ) {
    await fleet.tool(breaks, "1");
    await unreachable();
    await fleet.tool(mends, "1");
    await fine();
  }
  await ssh(fleet, 1, "setsid sleep 1234 > /dev/null 2>&1 &");
  assertEquals(await fleet.processes(1), ["sleep 1234"]);
  await fleet.powerOff(1);
  await unreachable();
  await fleet.powerOn(1);
  await fine();
  assertEquals((await ssh(fleet, 1, "cat /tmp/file")).code, 1);
  assertEquals(await fleet.processes(1), []);
  await fleet.disk(1, "1m");
  assertEquals((await ssh(fleet, 1, "head -c 2000000 /dev/zero > big")).code, 1);
  await fleet.disk(1, "64m");
  assertEquals((await ssh(fleet, 1, "head -c 2000000 /dev/zero > big")).code, 0);
  await fleet.hide(1, "bash", "rsync", "setsid");
  assertEquals((await ssh(fleet, 1, "command -v bash rsync setsid")).stdout, "");
  await fleet.lose(1, 99);
  await unreachable();
  await fleet.lose(1, 0);
  await fine();
});

Deno.test("Fleet with Slurm runs a step on every compute node, with GPUs, at a shared home", async () => {
  await using fleet = await Fleet.up(3, { slurm: true });
  const { code, stdout } = await ssh(
    fleet,
    1,
    "srun -N2 --gres=gpu:h100:2 -l sh -c 'echo $(hostname) $CUDA_VISIBLE_DEVICES' | sort; touch seen",
  );
  assertEquals([code, stdout], [0, "0: n2 0,1\n1: n3 0,1\n"]);
  assertStringIncludes(await fleet.sh(3, "ls /shared/home/dev"), "seen");
  await fleet.killSlurmd(2);
  assertEquals((await fleet.inside(2, ["pgrep", "slurmd"])).code, 1);
  await fleet.startSlurmd(2);
  await fleet.admin("scontrol", "update", "nodename=n3", "state=drain", "reason=test");
  assert(/n3 .*drain/.test(await fleet.admin("sinfo", "-N", "-h")));
  assertEquals(await fleet.processes(2), []);
});
