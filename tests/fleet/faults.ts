/** Faults that every infra must survive in each phase of a launch (lanes.ts), and those of a single machine. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SlowLink } from "../support/slow_link.ts";
import { until } from "../support/sky.ts";
import { Field, type Kind, leftOn, tell } from "./field.ts";
import type { Fault } from "./lanes.ts";

/** The cable; with Slurm, where pulling it would part the nodes from their controller, only our way to it. */
const cut = (field: Field) =>
  each(field, (node) => field.kind === "ssh" ? field.fleet.cut(node) : field.fleet.part(node));
const heal = (field: Field) =>
  each(field, (node) => field.kind === "ssh" ? field.fleet.heal(node) : field.fleet.join(node));
const each = (field: Field, act: (node: number) => Promise<unknown>) => Promise.all(field.ways.map(act));

export const FAULTS: Readonly<Record<string, Fault>> = {
  cutShort: {
    name: "cut off, healed after 5 s",
    seconds: 5,
    begin: cut,
    end: heal,
  },
  cutLong: {
    name: "cut off, healed after 60 s",
    seconds: 60,
    begin: cut,
    end: heal,
  },
  sshd: {
    name: "sshd killed, restarted after 3 s",
    seconds: 3,
    begin: (field) => each(field, (node) => field.fleet.killSshd(node)),
    end: (field) => each(field, (node) => field.fleet.startSshd(node)),
  },
  frozen: {
    name: "host frozen for 12 s",
    seconds: 12,
    begin: (field) => each(field, (node) => field.fleet.freeze(node)),
    end: (field) => each(field, (node) => field.fleet.thaw(node)),
  },
  loss: {
    name: "30 % of the packets lost for 10 s",
    seconds: 10,
    begin: (field) => each(field, (node) => field.fleet.lose(node, 30)),
    end: (field) => each(field, (node) => field.fleet.lose(node, 0)),
  },
  server: {
    name: "server killed -9, restarted",
    seconds: 1,
    server: true,
    begin: (field) => field.sky.killServer(),
    end: (field) => field.sky.ok(["api", "start"]),
  },
};

/** A host goes off under a gang: nothing is forgotten; back on, the others end with 137 and all can begin again. */
export async function powerOffUnderGang(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 2 });
  const [, second] = field.hosts;
  const file = await field.task("gang", {
    infra: field.wide,
    more: ["num_nodes: 2"],
    run: 'echo "begun $SKYPILOT_NODE_RANK $(hostname)"\nsleep 987',
  });
  const client = field.watch(["launch", "-c", "gang", "-y", file]);
  await client.until("begun 0");
  await client.until("begun 1");
  await field.fleet.powerOff(second!);
  const seen = await field.sky.run(["status", "-r", "gang"], { timeoutMs: 60_000 });
  assertEquals(seen.code, 0, seen.stderr);
  assertMatch(seen.stdout, /^gang /m, "it is not forgotten");
  if (kind === "ssh") assertMatch(seen.stdout + seen.stderr, /unreachable/);
  const row = (seen.stderr + seen.stdout).split("\n").find((line) => /unreachable|^gang /.test(line));
  await tell(kind, "host powered off under a gang, status -r", row ?? "");
  // Slurm gives the node up by itself, and the allocation with it; a host alone is waited for.
  const forgotten = async () => await field.status("gang", { refresh: true }) === undefined;
  if (kind === "slurm") await until(forgotten, { what: "Slurm to give it up", timeoutMs: 90_000 });
  else await field.fleet.powerOn(second!);
  const { code, stdout } = await client.end(60_000);
  assertEquals(code === 0, false, stdout);
  if (kind === "ssh") assertMatch(stdout, /Return code list: \[137, \?\]/);
  else await field.fleet.powerOn(second!);
  const processes = async () =>
    (await Promise.all(field.hosts.map((node) => field.fleet.processes(node)))).flat();
  await until(async () => (await processes()).every((args) => !args.includes("sleep 987")), {
    what: "the others to be ended",
  });
  const said = stdout.trim().split("\n").findLast((line) => /ERROR|finished/.test(line));
  await tell(kind, "host powered off under a gang", `client exit ${code}: ${said ?? ""}`);
  const next = await field.task("again", {
    infra: field.wide,
    more: ["num_nodes: 2"],
    run: 'echo "again $SKYPILOT_NODE_RANK"',
  });
  const again = await field.sky.run(["launch", "-c", "gang", "-y", next], { timeoutMs: 120_000 });
  assertEquals(again.code, 0, again.stdout + again.stderr);
  assertMatch(again.stdout, /again 0\n/);
  assertMatch(again.stdout, /again 1\n/);
  await field.clear();
}

/** The node's disk is full: that is said, and once there is space all works. */
export async function fullDisk(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 1 });
  const [host] = field.hosts;
  const disk = kind === "ssh" ? host! : "shared";
  await Deno.mkdir(join(field.sky.work, "proj"));
  await Deno.writeFile(join(field.sky.work, "proj", "big"), new Uint8Array(3 << 20));
  const file = await field.task("full", {
    infra: field.infra(0),
    more: ["workdir: ./proj"],
    run: "ls -l big",
  });
  await field.fleet.disk(disk, "1m");
  const refused = await field.sky.run(["launch", "-c", "full", "-y", file], { timeoutMs: 90_000 });
  assertEquals(refused.code, 1, refused.stdout);
  assertMatch(refused.stderr + refused.stdout, /no space|disk.*full|space left/i);
  assert(!/This is a bug/.test(refused.stderr), refused.stderr);
  await tell(kind, "full disk on the node, sync", refused.stderr.trim().split("\n")[0]!);
  await field.fleet.disk(disk, "256m");
  await field.sky.ok(["launch", "-c", "full", "-y", file], { timeoutMs: 90_000 });
  // A job that fills the disk fails by itself; what comes after it is no victim once there is space.
  await field.fleet.disk(disk, "12m");
  const filling = await field.sky.run([
    "exec",
    "full",
    "head -c 30000000 /dev/zero > ~/fill; code=$?; rm -f ~/fill; exit $code",
  ]);
  assertEquals(filling.code, 100, filling.stdout + filling.stderr);
  await tell(
    kind,
    "full disk on the node, run",
    filling.stdout.trim().split("\n").find((line) => /ERROR/.test(line)) ?? "",
  );
  await field.fleet.disk(disk, "256m");
  assertStringIncludes(await field.sky.ok(["exec", "full", "echo fine"]), ") fine\n");
  await field.clear();
}

/** A node with sh, coreutils and tar alone: no bash, rsync or setsid. */
export async function bareNode(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 1 });
  for (const host of field.hosts) await field.fleet.hide(host, "bash", "rsync", "setsid");
  await Deno.mkdir(join(field.sky.work, "proj"));
  await Deno.writeTextFile(join(field.sky.work, "proj", "with space.txt"), "from the workdir\n");
  const file = await field.task("bare", {
    infra: field.infra(0),
    more: ["workdir: ./proj"],
    setup: "echo setting up",
    run: "cat 'with space.txt'\ncommand -v bash rsync setsid || echo bare",
  });
  const out = await field.sky.ok(["launch", "-c", "bare", "-y", file], { timeoutMs: 90_000 });
  for (const words of [") setting up\n", ") from the workdir\n", ") bare\n"]) {
    assertStringIncludes(out, words);
  }
  await field.sky.ok(["exec", "bare", "-d", "trap '' TERM; while :; do sleep 987; done"]);
  const alive = async () =>
    (await Promise.all(field.hosts.map((host) => field.fleet.processes(host)))).flat()
      .some((args) => args.includes("sleep 987"));
  await until(alive, { what: "the job to run" });
  await field.sky.ok(["cancel", "bare", "-a", "-y"]);
  assertEquals(await alive(), false, "cancel said it is done");
  await tell(kind, "node without bash, rsync, setsid", "all works");
  await field.clear();
}

/** Everything takes 100 ms each way. */
export async function slowLink(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 1 });
  const [way] = field.ways;
  using link = new SlowLink({ hostname: field.fleet.ip(way!), port: 22 }, 100);
  await field.through(link.port);
  const began = performance.now();
  const file = await field.task("slow", {
    infra: field.infra(0),
    run: "for i in 1 2 3; do echo line-$i; done",
  });
  const out = await field.sky.ok(["launch", "-c", "slow", "-y", file], { timeoutMs: 90_000 });
  assertMatch(out, /\) line-1\n[^]*\) line-2\n[^]*\) line-3\n/);
  const launched = performance.now();
  assertStringIncludes(await field.sky.ok(["exec", "slow", "echo again"]), ") again\n");
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  await tell(
    kind,
    "100 ms delay each way",
    `launch to its end ${seconds(launched - began)} s, exec ${seconds(performance.now() - launched)} s`,
  );
  await field.sky.ok(["exec", "slow", "-d", "sleep 987"]);
  await field.sky.ok(["cancel", "slow", "-a", "-y"]);
  await field.clear();
}

const SECRET = "s3cret-that-nobody-may-see";
const ODD = `it's "odd" $(touch /tmp/pwned) \`touch /tmp/pwned\` ; \\ 'end`;

/** Secrets are on no command line and in no file that others can read; odd values arrive as they are. */
export async function secretsAndQuotes(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 1 });
  const odd = "odd $(touch pwned) 'name";
  await Deno.mkdir(join(field.sky.work, odd));
  await Deno.writeTextFile(join(field.sky.work, odd, "a 'quoted' $(touch pwned)\nfile"), "odd file\n");
  const file = await field.task("secret", {
    infra: field.infra(0),
    more: [
      `workdir: ${JSON.stringify(join(field.sky.work, odd))}`,
      `envs: ${JSON.stringify({ ODD, LINES: "one\ntwo" })}`,
      `secrets: ${JSON.stringify({ TOKEN: SECRET })}`,
    ],
    setup: "sleep 1",
    run: `printf '%s\\n' "$ODD" "$LINES"\ncat ./a*\necho "token \${#TOKEN}"\nsleep 2`,
  });
  const spy = spyOnCommandLines(SECRET);
  const client = field.watch(["launch", "-c", "secret", "-y", file]);
  await client.until("token");
  const seen = await spy();
  assertEquals(seen.found, []);
  assert(seen.looks > 20, `${seen.looks} looks`);
  const readable =
    `find /home /shared /tmp /run /var/tmp /var/spool /dev/shm -type f -perm /o+r 2> /dev/null |
    xargs -d '\\n' grep -l -- "$1" 2> /dev/null; true`;
  const places = [...new Set([...field.ways, ...field.hosts])];
  for (const node of places) assertEquals(await field.fleet.sh(node, readable, SECRET), "", `n${node}`);
  const { code, stdout } = await client.end();
  assertEquals(code, 0, stdout);
  for (const words of [`) ${ODD}\n`, ") one\n", ") two\n", ") odd file\n", `) token ${SECRET.length}\n`]) {
    assertStringIncludes(stdout, words);
  }
  for (const node of places) {
    const found = await field.fleet.inside(node, ["find", "/tmp", "/home", "/shared", "-name", "pwned"]);
    assertEquals(found.stdout, "", `n${node}`);
  }
  await tell(kind, "odd names and values, secrets", "as they are; nothing to be seen");
  await field.clear();
}

/** Looks at the command lines of all processes, those of the nodes too, until it is called. */
function spyOnCommandLines(words: string): () => Promise<{ looks: number; found: string[] }> {
  const seen = { looks: 0, found: [] as string[] };
  let over = false;
  const looking = (async () => {
    for (; !over; seen.looks++) {
      for await (const { name } of Deno.readDir("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""); // it ended meanwhile
        if (line.includes(words)) seen.found.push(line.replaceAll("\0", " "));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return async () => {
    over = true;
    await looking;
    return seen;
  };
}

/** A node that is noisy, prints control sequences without end and lays links into its logs: nothing comes of it. */
export async function evilNode(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 1 });
  const home = kind === "ssh" ? "/home/dev" : "/shared/home/dev";
  for (const node of field.hosts) {
    await field.fleet.sh(
      node,
      'echo "echo noise; echo noise >&2" >> "$1/.bashrc"; chown dev: "$1/.bashrc"',
      home,
    );
  }
  const bait = join(field.sky.home, "bait");
  await Deno.writeTextFile(bait, "untouched");
  const run = [
    "cd ~/sky_logs/*/ && ln -s / root && ln -s ../../../../../../.. up && ln -s '$(touch pwned)' 'a`b'",
    `ln -s ${bait} tasks/extra.log; echo overwritten > '-rf'; mkfifo pipe`,
    "printf '\\033]0;title\\007\\033[2J\\000\\377\\n'",
    "head -c 3000000 /dev/zero | tr '\\0' x; echo",
    "echo the-end",
  ].join("\n");
  const file = await field.task("evil", { infra: field.infra(0), run });
  const { code, stdout, stderr } = await field.sky.run(["launch", "-c", "evil", "-y", file]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "the-end\n");
  const taken = await field.sky.run(["logs", "evil", "1", "--sync-down"], { timeoutMs: 60_000 });
  assert(!/This is a bug/.test(taken.stderr), taken.stderr);
  assertEquals(await Deno.readTextFile(bait), "untouched");
  const escaped = await new Deno.Command("find", {
    args: [field.sky.home, "-xtype", "d", "-type", "l", "-o", "-name", "pwned"],
  }).output();
  const links = new TextDecoder().decode(escaped.stdout).split("\n").filter((line) => line !== "");
  assertEquals(links, [], "links to directories, or worse, came along");
  await tell(kind, "a node that means ill", `logs --sync-down exit ${taken.code}; nothing came of it`);
  await field.clear();
}

/** Autodown with the server killed -9: an idle cluster ends itself, one with a running job does not. */
export async function autodownWithoutServer(kind: Kind): Promise<void> {
  await using field = await Field.open(kind, { nodes: 2 });
  const { fleet, sky } = field;
  const idle = await field.task("idle", { infra: field.infra(0), run: "echo over" });
  const busy = await field.task("busy", {
    infra: field.infra(1),
    run: "echo begun\nuntil [ -e ~/go ]; do sleep 0.2; done",
  });
  const flags = ["-i", "1", "--down", "-y"];
  const [, client] = await Promise.all([
    sky.ok(["launch", "-c", "idle", ...flags, idle]),
    (async () => {
      const watched = field.watch(["launch", "-c", "busy", ...flags, busy]);
      await watched.until(") begun");
      return watched;
    })(),
  ]);
  client.interrupt();
  await client.end();
  // The server agrees with the nodes on what to do without it about once a minute.
  const home = kind === "ssh" ? "/home/dev" : "/shared/home/dev";
  const agreed = async () => {
    const script = 'cat "$1"/.sky/nodes/*/*/node0/.sky/guard "$1"/.sky_clusters/*/lease 2> /dev/null | wc -l';
    const places = kind === "ssh" ? field.hosts : [1];
    const counts = await Promise.all(places.map((node) => fleet.sh(node, script, home)));
    return counts.reduce((sum, count) => sum + Number(count), 0) === 2;
  };
  await until(agreed, { what: "both clusters to know what to do", timeoutMs: 90_000 });
  await sky.killServer();
  for (const host of field.hosts) await fleet.tool("jump", `${host}`, "600");
  const here = async () => {
    const found = await leftOn(fleet, kind, { connected: false });
    return found.filter((line) => line.includes("./")).length;
  };
  await until(async () => await here() === 1, { what: "the idle cluster to end itself", timeoutMs: 60_000 });
  await tell(kind, "autodown with the server dead", "the idle cluster ended itself, the busy one did not");
  assertEquals(await field.status("idle", { refresh: true }), undefined);
  assertEquals(await field.status("busy", { refresh: true }), "UP");
  await sky.ok(["exec", "busy", "touch ~/go"]);
  assertStringIncludes(await sky.ok(["logs", "busy", "1"]), ") begun\n");
  await field.clear();
}
