import { assert, assertEquals, assertRejects } from "@std/assert";
import { Guards } from "../../clusters/guards.ts";

const never = new AbortController().signal;

Deno.test("Guards lets one in per name, the others in turn", async () => {
  const guards = new Guards();
  let inside = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 20 }, async () => {
    using _guard = await guards.acquire("a", never);
    most = Math.max(most, ++inside);
    await Promise.resolve();
    inside--;
  }));
  assertEquals([most, guards.isHeld("a")], [1, false]);
});

Deno.test("Guards tells at once whether a name is free", () => {
  const guards = new Guards();
  const guard = guards.tryAcquire("a");
  assert(guard !== null);
  assertEquals(guards.tryAcquire("a"), null);
  assert(guards.tryAcquire("b") !== null);
  guard[Symbol.dispose]();
  guard[Symbol.dispose]();
  assert(guards.tryAcquire("a") !== null);
});

Deno.test("Guards stops waiting when the signal aborts", async () => {
  const guards = new Guards();
  using _held = await guards.acquire("a", never);
  const leaving = new AbortController();
  const waiting = guards.acquire("a", leaving.signal);
  leaving.abort(new Error("leaving"));
  await assertRejects(() => waiting, Error, "leaving");
});
