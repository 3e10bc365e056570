/** What every runner must do with a job's output; see job_contract.ts. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { ended, signal, type WithNode } from "../support.ts";

const start = { logDir: "1-t", phase: "run", output: "tasks/run.log", env: {} } as const;

/** Registers the tests. */
export function outputContract(kind: string, withNode: WithNode): void {
  const test = (name: string, work: () => Promise<void>) => Deno.test(`${kind}: ${name}`, work);

  test("readOutput gives any bytes, from any offset, also without a final newline", () =>
    withNode(async ({ job, runner }) => {
      await job(String.raw`printf 'a\377\376\0b\303'; printf '\r\n<sky-payload>no newline'`);
      const all = await runner.readOutput("1-t", "run", { offset: 0, limit: 1 << 20, signal });
      assertEquals([...all.subarray(0, 6)], [97, 255, 254, 0, 98, 195]);
      assertEquals(new TextDecoder().decode(all.subarray(8)), "<sky-payload>no newline");
      for (let offset = 0; offset <= all.length + 2; offset++) {
        const part = await runner.readOutput("1-t", "run", { offset, limit: 3, signal });
        assertEquals(part, all.subarray(offset, offset + 3));
      }
      assertEquals(await runner.readOutput("9-t", "run", { offset: 0, limit: 9, signal }), new Uint8Array());
    }));

  test("readOutput reads a 50 MB line and more in pieces, without growing", () =>
    withNode(async ({ runner }) => {
      const script = "head -c 50000000 /dev/zero | tr '\\0' x; echo; head -c 50000000 /dev/zero | tr '\\0' y";
      await runner.startJob({ ...start, script }, { signal });
      let [offset, largest, bad] = [0, 0, 0];
      const before = Deno.memoryUsage().rss;
      while (true) {
        const part = await runner.readOutput("1-t", "run", { offset, limit: 1 << 18, signal });
        if (part.length === 0) {
          const { alive } = await runner.jobState("1-t", "run", { signal });
          if (!alive && offset === 100_000_001) break;
          await runner.waitOutput("1-t", "run", { offset, timeoutMs: 200, signal });
          continue;
        }
        largest = Math.max(largest, part.length);
        const wanted = offset + part.length <= 50_000_000 ? 120 : offset > 50_000_000 ? 121 : null;
        if (wanted !== null && !part.every((byte) => byte === wanted)) bad++;
        offset += part.length;
      }
      assertEquals([largest, bad], [1 << 18, 0]);
      assertLess(Deno.memoryUsage().rss - before, 100 << 20);
    }));

  test("waitOutput wakes for a first byte and for more, and no earlier", () =>
    withNode(async ({ runner, home }) => {
      const first = runner.waitOutput("1-t", "run", { offset: 0, timeoutMs: 20_000, signal });
      const script = "echo a; while [ ! -e go ]; do sleep 0.01; done; echo b";
      await runner.startJob({ ...start, script }, { signal });
      await first;
      let began = performance.now();
      await runner.waitOutput("1-t", "run", { offset: 2, timeoutMs: 200, signal });
      assert(performance.now() - began >= 190);
      began = performance.now();
      const more = runner.waitOutput("1-t", "run", { offset: 2, timeoutMs: 20_000, signal });
      await Deno.writeTextFile(join(home, "sky_workdir/go"), "");
      await more;
      assertLess(performance.now() - began, 1_000, "it was the poll that noticed");
      await ended(runner, "1-t");
    }));

  test("waitOutput and waitJobChange reject with the reason of an abort", () =>
    withNode(async ({ runner }) => {
      const abort = new AbortController();
      const options = { timeoutMs: 60_000, signal: abort.signal };
      const waits = [
        runner.waitOutput("1-t", "run", { ...options, offset: 0 }),
        runner.waitJobChange("1-t", "run", options),
      ];
      setTimeout(() => abort.abort(new Error("enough")), 20);
      for (const wait of waits) await assertRejects(() => wait, Error, "enough");
    }));
}
