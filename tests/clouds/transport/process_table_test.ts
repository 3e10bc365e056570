import { assert, assertEquals } from "@std/assert";
import {
  bootId,
  identify,
  isAlive,
  isMarked,
  listByPs,
  parseIdentity,
  parsePsLine,
  parseStat,
  readProcess,
  scanProcesses,
  writesBelow,
} from "../../../clouds/transport/process_table.ts";

const TAIL = "0 -1 4194304 153 0 0 0 0 0 0 0 20 0 1 0 125646 2990080 421";

Deno.test("parseStat reads names with spaces, brackets and newlines", () => {
  const row = parseStat(`42 (a) S 1 (b\n) R) S 7 42 41 ${TAIL}`);
  assertEquals(row, { pid: 42, parent: 7, group: 42, session: 41, start: "125646", dead: false, text: null });
  assertEquals(parseStat("42 (sh"), null);
  assertEquals(parseStat("42 (sh) S 1 2"), null);
  assertEquals(parseStat(""), null);
});

Deno.test("parseStat takes a zombie for dead, unless threads of it live on", () => {
  assert(parseStat(`42 (x) Z 7 42 41 ${TAIL}`)!.dead);
  assert(!parseStat(`42 (x) Z 7 42 41 ${TAIL.replace(" 20 0 1 0 ", " 20 0 3 0 ")}`)!.dead);
});

Deno.test("parsePsLine reads what ps prints", () => {
  const row = parsePsLine("  123     1   120 Ss   Mon Nov  3 08:22:01 2025 /bin/sh -c x SKY_JOB_KEY=/a/b");
  assertEquals(row, {
    pid: 123,
    parent: 1,
    group: 120,
    session: 120,
    start: "Mon Nov 3 08:22:01 2025",
    dead: false,
    text: "/bin/sh -c x SKY_JOB_KEY=/a/b",
  });
  assert(isMarked(row!, { entry: "SKY_JOB_KEY=/a/b", prefix: false }));
  assert(parsePsLine("5 1 5 Z+ Mon Nov 13 08:22:01 2025 ")!.dead);
  assertEquals(parsePsLine("PID PPID PGID STAT STARTED"), null);
});

Deno.test("parseIdentity reads both forms and refuses cut ones", () => {
  assertEquals(parseIdentity(`42 (sh) S 7 42 41 ${TAIL}\nboot\n`), {
    pid: 42,
    start: "125646",
    boot: "boot",
  });
  const plain = { pid: 42, start: "Mon Nov 3 08:22:01 2025", boot: "-" };
  assertEquals(parseIdentity("42 Mon Nov  3 08:22:01 2025\n-\n"), plain);
  for (const cut of ["", "42", "42 (sh) S 7 42 41\nboot\n", `42 (sh) S 7 42 41 ${TAIL}`, "x y\n-\n"]) {
    assertEquals(parseIdentity(cut), null, cut);
  }
});

Deno.test("scanProcesses and ps agree about this process", async () => {
  const [table, again, listed] = await Promise.all([scanProcesses(), scanProcesses(), listByPs()]);
  assert(table.has(Deno.pid) && again.has(Deno.pid));
  const [a, b] = [table.get(Deno.pid)!, listed.get(Deno.pid)!];
  assertEquals([a.parent, a.group, a.dead], [b.parent, b.group, b.dead]);
});

Deno.test("isAlive knows the living, the dead, and the same pid at another time", async () => {
  const child = new Deno.Command("sleep", { args: ["100"], env: { MARK_A: "1", MARK_B: "/x/y" } }).spawn();
  const id = identify(child.pid)!;
  assert(isAlive(id));
  assert(!isAlive({ ...id, start: "1" }));
  assert(!isAlive({ ...id, boot: "another" }));
  assertEquals(id.boot, bootId());
  const row = readProcess(child.pid)!;
  // A process that has just begun shows no environment for a moment.
  const deadline = Date.now() + 5_000;
  while (!isMarked(row, { entry: "MARK_A=1", prefix: false })) {
    assert(Date.now() < deadline, "MARK_A=1 does not show");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert(isMarked(row, { entry: "MARK_B=/x/", prefix: true }));
  for (const entry of ["MARK_B=/x", "ARK_A=1", "MARK_A=", "MARK_A=12"]) {
    assert(!isMarked(row, { entry, prefix: false }), entry);
  }
  child.kill("SIGKILL");
  await child.status;
  assert(!isAlive(id));
  assertEquals(identify(child.pid), null);
  assert(!isMarked(row, { entry: "MARK_A=1", prefix: false }));
});

Deno.test("writesBelow sees where output goes", async () => {
  const folder = await Deno.makeTempDir();
  const child = new Deno.Command("sh", { args: ["-c", `exec sleep 100 >'${folder}/out'`] }).spawn();
  const row = () => readProcess(child.pid)!;
  while (!writesBelow(row(), folder)) await new Promise((resolve) => setTimeout(resolve, 5));
  assert(!writesBelow(row(), folder.slice(0, -1)));
  child.kill();
  await child.status;
  await Deno.remove(folder, { recursive: true });
});
