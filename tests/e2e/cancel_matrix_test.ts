/** Cancelling (P4): every state × every way to name a request, against the real server over plain HTTP. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  type Cancelled,
  idOf,
  launchBody,
  OfficialClient,
  startedClient,
} from "../support/official_client.ts";
import { isAlive, TestSky, until } from "../support/sky.ts";

/** How far a request is when its cancel comes, and what must become of it. */
interface State {
  readonly name: string;
  readonly final: "CANCELLED" | "SUCCEEDED" | "either";
  readonly limitMs: number;
  enter(client: OfficialClient): Promise<string>;
}

type Way = (client: OfficialClient, id: string) => Promise<Cancelled[]>;

const WAYS: Readonly<Record<string, Way>> = {
  id: async (client, id) => [await client.cancel({ request_ids: [id], user_id: client.user.id })],
  prefix: async (client, id) => [await client.cancel({ request_ids: [id.slice(0, 13)] })],
  twice: (client, id) => Promise.all([1, 2].map(() => client.cancel({ request_ids: [id] }))),
  repeated: async (client, id) => [await client.cancel({ request_ids: [id, id.slice(0, 13), id] })],
  mine: async (client) => [await client.cancel({ user_id: client.user.id })],
};

/** One cell. `others` are open requests that the way must catch as well. */
async function cell(client: OfficialClient, state: State, way: Way, others: string[] = []): Promise<void> {
  const id = await state.enter(client);
  const before = state.final === "SUCCEEDED" ? (await client.get(id)).payload : null;
  const answers = await way(client, id);
  const where = `${state.name} of ${client.user.id}`;
  for (const { ids } of answers) assertEquals(ids, [...new Set(ids)], where);
  const ids = new Set(answers.flatMap((answer) => answer.ids));
  const cancelled = ids.has(id);
  if (state.final !== "either") assertEquals(cancelled, state.final === "CANCELLED", where);
  assertEquals([...ids].toSorted(), [...others, ...(cancelled ? [id] : [])].toSorted(), where);
  const took = Math.max(...answers.map((answer) => answer.took));
  assert(took <= state.limitMs, `${where}: cancelled after ${took} ms`);
  const after = await client.get(id);
  assertEquals([after.http, after.payload.status], [200, cancelled ? "CANCELLED" : "SUCCEEDED"], where);
  if (before !== null) assertEquals(after.payload, before, where);
  // Once only: another cancel finds nothing and changes nothing.
  assertEquals((await client.cancel({ request_ids: [id] })).ids, [], where);
  assertEquals((await client.get(id)).payload, after.payload, where);
}

/** All states by all ways; the ways that catch everybody come last and one by one. */
async function matrix(client: OfficialClient, states: readonly State[]): Promise<void> {
  const bystander = await client.as("bystander").submit("/launch", launchBody("bystander", "echo x"));
  const cells = states.flatMap((state) => Object.entries(WAYS).map(([name, way]) => ({ state, name, way })));
  await Promise.all(
    cells.map(({ state, name, way }) => cell(client.as(`${state.name}-${name}`), state, way)),
  );
  assertEquals(await client.state(bystander), "RUNNING", "nobody else is cancelled");
  for (const state of states) {
    const others = [...(await client.states()).keys()];
    await cell(client.as(`${state.name}-all`), state, async (one) => [await one.cancel({})], others);
  }
}

let clusters = 0;
const launch = (client: OfficialClient, more = "") =>
  client.submit("/launch", launchBody(`m${clusters++}`, "echo never", more));

async function untilRunning(client: OfficialClient, id: string): Promise<void> {
  await until(async () => await client.state(id) === "RUNNING", { what: `${id} to run` });
}

const status = (client: OfficialClient, refresh = "NONE") => client.submit("/status", { refresh });

Deno.test("cancel: queued behind a lock, starting, running, finishing, finished, by every way", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const client = await startedClient(sky);
  const locked = await client.as("holder").submit("/launch", launchBody("locked", "echo x"));
  await untilRunning(client, locked);
  await matrix(client, [
    {
      name: "queued",
      final: "CANCELLED",
      limitMs: 1000,
      async enter(me) {
        const id = await me.submit("/launch", launchBody("locked", "echo x"));
        assertEquals(await me.state(id), "PENDING");
        return id;
      },
    },
    { name: "starting", final: "CANCELLED", limitMs: 1000, enter: (me) => launch(me) },
    {
      name: "running",
      final: "CANCELLED",
      limitMs: 1000,
      async enter(me) {
        const id = await launch(me);
        await untilRunning(me, id);
        return id;
      },
    },
    { name: "finishing", final: "either", limitMs: 1000, enter: (me) => status(me) },
    {
      name: "finished",
      final: "SUCCEEDED",
      limitMs: 1000,
      async enter(me) {
        const id = await status(me);
        await me.get(id);
        return id;
      },
    },
  ]);
  assertEquals((await client.get(locked)).payload.status, "CANCELLED");
});

Deno.test("cancel: a request and its child end together, obeying or not, by every way", async () => {
  await using sky = await TestSky.make({});
  const bin = join(sky.home, "bin");
  const pids = join(sky.home, "pids");
  await Deno.mkdir(bin);
  // What the request runs for `workdir: {url}`. Its sleep is a process of its own in the same group.
  const git = `#!/bin/sh
case "$*" in
  "remote add "*ignoring*) trap '' TERM ;;
  "remote add "*) ;;
  *) exit 0 ;;
esac
sleep 1000 &
echo "$* $$ $!" >>'${pids}'
wait
`;
  await Deno.writeTextFile(join(bin, "git"), git, { mode: 0o755 });
  sky.env.PATH = `${bin}:${sky.env.PATH}`;
  const client = await startedClient(sky);
  const children = async (): Promise<number[]> => {
    const text = await Deno.readTextFile(pids).catch(() => "");
    return text.trim().split("\n").flatMap((line) => line.split(" ").slice(-2).map(Number));
  };
  const withChild = (name: string, limitMs: number): State => ({
    name,
    final: "CANCELLED",
    limitMs,
    async enter(me) {
      const mark = `https://example.invalid/${me.user.id}`;
      const id = await launch(me, `workdir:\n  url: ${mark}\n`);
      await until(async () => (await Deno.readTextFile(pids).catch(() => "")).includes(mark), {
        what: `the child of ${me.user.id}`,
      });
      return id;
    },
  });
  const states = [withChild("obeying", 1000), withChild("ignoring", 10_000)];
  const ways = Object.entries(WAYS);
  await Promise.all(
    ways.flatMap(([name, way]) =>
      states.map((state) => cell(client.as(`${state.name}-${name}`), state, way))
    ),
  );
  for (const state of states) {
    await cell(client.as(`${state.name}-all`), state, async (me) => [await me.cancel({})]);
  }
  const all = await children();
  assertEquals(all.length, 2 * 2 * (ways.length + 1));
  assertEquals(all.filter(isAlive), []);
  assertEquals(await sky.processes(), [(await sky.registration())!.pid]);
});

Deno.test("sky cancel ends a job's processes, obeying within 1 s, ignoring TERM within 10 s", async () => {
  await using sky = await TestSky.make({});
  const client = await startedClient(sky);
  const pids = join(sky.home, "pids");
  const script = (trap: string) => `${trap}\nsleep 1000 & echo $$ $! >>'${pids}'; wait`;
  for (const [name, trap, limit] of [["obeys", "", 1000], ["ignores", "trap '' TERM", 10_000]] as const) {
    await client.result("/launch", launchBody(name, script(trap)));
    await until(async () => (await Deno.readTextFile(pids).catch(() => "")).endsWith("\n"), { what: name });
    const started = performance.now();
    await client.result("/cancel", { cluster_name: name, job_ids: [1] });
    const took = performance.now() - started;
    assert(took <= limit, `${name}: ${took} ms`);
    assertEquals(await client.result("/job_status", { cluster_name: name, job_ids: [1] }), {
      "1": "CANCELLED",
    });
    const children = (await Deno.readTextFile(pids)).trim().split(/\s+/).map(Number);
    assertEquals(children.filter(isAlive), [], name);
    await Deno.remove(pids);
  }
  assertEquals(await sky.processes(), [(await sky.registration())!.pid]);
});

Deno.test("cancel filters catch exactly whom they name; an ambiguous prefix lists and catches nobody", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const client = await startedClient(sky);
  const of = async (user: string, count: number) => {
    // Half of them run, the other half wait behind them.
    const body = (i: number) => launchBody(`${user}-${i >> 1}`, "echo x");
    const ids = await Promise.all(
      Array.from({ length: count }, (_, i) => client.as(user).submit("/launch", body(i))),
    );
    return ids.toSorted();
  };
  const [mine, others] = await Promise.all([of("mine", 100), of("others", 10)]);
  assertEquals((await client.states()).size, 110);

  const letter = [...mine, ...others].map((id) => id[0]!).find((first, at, all) => all.indexOf(first) < at)!;
  const matching = [...mine, ...others].filter((id) => id.startsWith(letter));
  const wish = [others.find((id) => !id.startsWith(letter))!, letter];
  const refused = await client.get(await client.submit("/api/cancel", { request_ids: wish, user_id: null }));
  assertEquals([refused.http, refused.payload.status], [500, "FAILED"]);
  const told: string = JSON.parse(refused.payload.error).message;
  assertStringIncludes(told, `Multiple requests found for request ID prefix: ${letter}`);
  const listed = told.match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? [];
  // The cancel is a request as well, and its own id may begin like that.
  const self = refused.payload.request_id;
  if (self.startsWith(letter)) matching.push(self);
  assertEquals(listed.length, Math.min(10, matching.length));
  for (const id of listed) assert(matching.includes(id));
  const cli = await sky.run(["api", "cancel", letter]);
  assertEquals(cli.code, 1);
  assertStringIncludes(cli.stderr, listed[0]!);
  assertEquals((await client.states()).size, 110, "nobody was cancelled");

  assertEquals((await client.cancel({ request_ids: ["00000000-0000", "%", "_"] })).ids, []);
  assertEquals((await client.cancel({ request_ids: [] })).ids, []);
  assertEquals((await client.cancel({ user_id: "mine" })).ids, mine);
  assertEquals([...(await client.states()).keys()].toSorted(), others);
  assertMatch(await sky.ok(["api", "cancel", "-u", "-y"]), /^Cancelled 10 requests\.$/m);
  const ends = await client.states([...mine, ...others]);
  assertEquals([ends.size, new Set(ends.values())], [110, new Set(["CANCELLED"])]);
});

Deno.test("cancel is answered while both lanes are full and while 200 POSTs are in flight", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.status" });
  const client = await startedClient(sky);
  const holder = client.as("holder");
  await Promise.all(Array.from({ length: 1024 + 64 }, (_, i) => status(holder, i < 1024 ? "FORCE" : "NONE")));
  await until(async () => [...(await client.states()).values()].every((one) => one === "RUNNING"), {
    what: "both lanes to be full",
  });
  const pending = (name: string, submit: (me: OfficialClient) => Promise<string>): State => ({
    name,
    final: "CANCELLED",
    limitMs: 1000,
    async enter(me) {
      const id = await submit(me);
      const [record] = await (await me.fetch(`/api/status?request_ids=${id}`)).json();
      assertEquals(record.status, "PENDING");
      assertStringIncludes(record.status_msg, "are taken");
      return id;
    },
  });
  const states = [pending("long", (me) => launch(me)), pending("short", (me) => status(me))];
  for (const [name, way] of Object.entries(WAYS)) {
    for (const state of states) await cell(client.as(`${state.name}-${name}`), state, way);
  }
  const victim = await launch(client);
  const posts = Array.from({ length: 200 }, (_, i) => client.post("/launch", launchBody(`p${i}`, "echo x")));
  const { ids, took } = await client.cancel({ request_ids: [victim] });
  assertEquals(ids, [victim]);
  assert(took <= 1000, `answered after ${took} ms`);
  const posted = await Promise.all(posts.map(async (post) => await idOf(await post)));
  const open = [...(await client.states()).keys()];
  assertEquals(open.length, 1024 + 64 + 200);
  assertEquals(posted.filter((id) => !open.includes(id)), []);
  const all = await client.cancel({});
  assertEquals(all.ids, open.toSorted());
  assert(all.took <= 3000, `all of them after ${all.took} ms`);
  // The farewell of TestSky asks for a status, which would be held.
  await sky.ok(["api", "stop"]);
});

Deno.test("jobs/cancel and serve/down say that they are not there, and touch nothing", async () => {
  await using sky = await TestSky.make({ SKY_FAILPOINT: "hold:sky.launch" });
  const client = await startedClient(sky);
  const id = await client.submit("/launch", launchBody("m0", "echo never"));
  await untilRunning(client, id);
  const refused: string[] = [];
  for (const path of ["/jobs/cancel", "/serve/down"]) {
    const wish = { all: true, cluster_name: "m0", service_names: ["m0"] };
    const own = await client.post(path, wish, { "X-Sky-Client": "1" });
    assertEquals([own.status, (await own.json()).sky.code], [501, "not_supported"]);
    // SkyPilot's client shows an error that came with a request, and a traceback for one that came without.
    const { http, payload } = await client.get(await client.submit(path, wish));
    assertEquals([http, payload.status], [500, "FAILED"]);
    assertStringIncludes(payload.error, "NotSupportedError");
    refused.push(payload.request_id);
  }
  for (const args of [["jobs", "cancel", "1"], ["serve", "down", "m0"]]) {
    const { code, stderr } = await sky.run(args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `No such command '${args[1]}'`);
  }
  const states = await client.states();
  for (const each of refused) states.delete(each);
  assertEquals([...states], [[id, "RUNNING"]]);
});
