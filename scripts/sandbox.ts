/**
 * The sandbox of the tests that need machines (tests/fleet): a network, mounts and processes of its own, without a
 * way out, so that parallel runs never meet and ending one process ends all. Owns what it takes and how it is left.
 */

const PROGRAMS = "unshare nsenter ip nft tini sshd ssh rsync slurmctld slurmd srun munged setpriv pgrep"
  .split(" ");
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Longer than the whole phase may take; what hangs ends here. */
const LIMIT_SECONDS = 900;

const ENTER = `
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/netns
: > /run/empty
mount --bind /run/empty /etc/resolv.conf
ip link set lo up
exec tini -s -- "$@"
`;

/** Why the tests with machines can't run here, or null. */
export async function whyNoSandbox(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "it takes Linux";
  if (Deno.uid() !== 0) return "it takes root";
  const missing: string[] = [];
  for (const name of PROGRAMS) {
    const places = PATH.split(":").map((folder) =>
      Deno.stat(`${folder}/${name}`).then(() => true, () => false)
    );
    if (!(await Promise.all(places)).includes(true)) missing.push(name);
  }
  if (missing.length > 0) return `not installed: ${missing.join(", ")} (.ci/run installs them on Debian)`;
  const probe = await new Deno.Command("unshare", {
    args: [
      "-m",
      "-n",
      "-p",
      "-f",
      "--mount-proc",
      "sh",
      "-c",
      "ip link add probe type bridge && mount -t tmpfs none /run",
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  return probe.success ? null : `no namespaces here: ${new TextDecoder().decode(probe.stderr).trim()}`;
}

export interface Sandboxed {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  /** To be called when it has ended, however it did. */
  sweep(): Promise<void>;
}

/** How to run a program in a sandbox of its own. */
export function inSandbox(program: string, args: readonly string[]): Sandboxed {
  const group = `sky-fleet-${crypto.randomUUID().slice(0, 8)}`;
  const namespaces = ["unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc"];
  return {
    program: "timeout",
    args: ["-s", "KILL", String(LIMIT_SECONDS), ...namespaces, "sh", "-ec", ENTER, "sh", program, ...args],
    env: { PATH: `${PATH}:${Deno.env.get("PATH") ?? ""}`, FLEET_GROUP: group },
    sweep: () => sweep(group),
  };
}

/** Control groups outlive a sandbox, and what is frozen in them can't die: only after a run that was cut short. */
async function sweep(group: string): Promise<void> {
  const script = `
for root in /sys/fs/cgroup/freezer /sys/fs/cgroup; do
  for node in "$root/$1"-*/*/; do
    [ -d "$node" ] || continue
    [ ! -f "$node/freezer.state" ] || echo THAWED > "$node/freezer.state"
    [ ! -f "$node/cgroup.freeze" ] || echo 0 > "$node/cgroup.freeze"
    for try in 1 2 3 4 5 6 7 8 9 10; do rmdir "$node" 2> /dev/null && break; sleep 0.2; done
  done
  for all in "$root/$1"-*/; do [ ! -d "$all" ] || rmdir "$all"; done
done`;
  await new Deno.Command("sh", { args: ["-c", script, "sh", group], stdout: "null", stderr: "null" })
    .output();
}
