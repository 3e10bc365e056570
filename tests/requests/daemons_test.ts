import { assert, assertEquals } from "@std/assert";
import { Daemons } from "../../requests/daemons.ts";
import { until } from "./fixture.ts";

Deno.test("Daemons run each round alone at their interval, report errors and go on", async () => {
  const errors: string[] = [];
  let inside = 0;
  let rounds = 0;
  let failing = 0;
  let never = 0;
  const daemons = new Daemons([
    {
      name: "slow",
      everyMs: 5,
      run: async () => {
        assertEquals(++inside, 1);
        await new Promise((resolve) => setTimeout(resolve, 12));
        inside--;
        rounds++;
      },
    },
    { name: "bad", everyMs: 5, atStart: true, run: () => Promise.reject(new Error(`no ${++failing}`)) },
    { name: "rare", everyMs: 3_600_000, run: () => Promise.resolve(void never++) },
  ], { onError: (error, name) => errors.push(`${name}: ${(error as Error).message}`) });
  await until("some rounds", () => rounds >= 3 && failing >= 3);
  await daemons.stop();
  const before = [rounds, failing];
  assertEquals(errors.slice(0, 2), ["bad: no 1", "bad: no 2"]);
  assertEquals(never, 0);
  await daemons.stop();
  assertEquals([rounds, failing], before);
});

Deno.test("Daemons.stop aborts what runs and waits for it", async () => {
  let state = "idle";
  const daemons = new Daemons([{
    name: "long",
    everyMs: 1000,
    atStart: true,
    run: async (signal) => {
      state = "running";
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      state = "done";
      signal.throwIfAborted();
    },
  }], { onError: (error) => assert(false, String(error)) });
  await until("it runs", () => state === "running");
  await daemons.stop();
  assertEquals(state, "done");
});
