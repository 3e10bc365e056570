/** Our `sky` and the log streams of SkyPilot's own API server: following, leaving, cancelling, cuts (issue 4 §2). */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BadNetwork } from "../support/bad_network.ts";
import { skyAt } from "../support/official_client.ts";
import { officialBin, OfficialServer } from "../support/official_server.ts";
import { finish, TestSky, until } from "../support/sky.ts";

const bin = await officialBin();
/** Its workers are processes that take their time to start on a busy machine. */
const SLOW = 150_000;
const NO_CLOUD = "sky.exceptions.NoCloudAccessError: Cloud access is not set up. Run: sky check";

Deno.test({
  name: "our sky and the official server: streams",
  ignore: bin === null,
  async fn(t) {
    await using server = await OfficialServer.start(bin!);
    await using sky = await TestSky.make({ SKYPILOT_API_SERVER_ENDPOINT: server.url });
    using client = skyAt(server.url);

    /** A launch that prints so many lines and then waits until its file is removed; its id. */
    const held = async (lines: number): Promise<{ id: string; file: string }> => {
      const file = await server.hold();
      const words = ["--env", `HOLD=${file}`, "--env", `HOLD_LINES=${lines}`, "echo", "hi"];
      const text = await sky.ok(["launch", "--async", "-y", "-c", "held", ...words]);
      const id = /request: ([0-9a-f-]{36})/.exec(text)?.[1];
      assert(id !== undefined, text);
      return { id, file };
    };
    const numbers = (text: string) =>
      [...text.matchAll(/^line (\d+) x{60}$/gm)].map(([, number]) => Number(number));
    const upTo = (count: number) => Array.from({ length: count }, (_, number) => number);
    const state = async (id: string) => (await client.apiStatus({ ids: [id] }))[0]?.status;

    await t.step("api logs follows a running request to its end, by a prefix of its id", async () => {
      const { id, file } = await held(300);
      const child = sky.spawn(["api", "logs", id.slice(0, 8)]);
      await until(async () => await state(id) === "RUNNING", { what: "the request to run", timeoutMs: SLOW });
      await Deno.remove(file);
      const { code, stdout, stderr } = await finish(child, ["api", "logs"], SLOW);
      assertEquals(numbers(stdout), upTo(300));
      assertEquals([code, stderr.trimEnd().split("\n").at(-1)], [1, NO_CLOUD]);
    });

    await t.step("api logs --no-follow and --tail show what is there and leave", async () => {
      const { id, file } = await held(50);
      await until(async () => numbers(await sky.ok(["api", "logs", id, "--no-follow"])).length === 50, {
        what: "all lines",
        timeoutMs: SLOW,
      });
      const tail = numbers(await sky.ok(["api", "logs", id, "--no-follow", "--tail", "10"]));
      assertEquals(tail, upTo(50).slice(-10));
      assertEquals(await state(id), "RUNNING");
      await Deno.remove(file);
    });

    await t.step(
      "Ctrl+C leaves the launch running there; it can be followed again, and cancelled",
      async () => {
        const file = await server.hold();
        const words = ["--env", `HOLD=${file}`, "--env", "HOLD_LINES=5", "echo", "hi"];
        const run = sky.terminal(["launch", "-y", "-c", "left", ...words]);
        await run.until("line 4 ", SLOW);
        await run.send("\x03");
        assertEquals(await run.end(), 1);
        assertStringIncludes(run.text, "Request will continue running asynchronously.");
        const prefix = /sky api logs ([0-9a-f]{8})/.exec(run.text)?.[1];
        assert(prefix !== undefined, run.text);
        assertEquals(await state(prefix), "RUNNING");
        const again = sky.spawn(["api", "logs", prefix]);
        const cancelled = await sky.ok(["api", "cancel", prefix, "-y"]);
        assertStringIncludes(cancelled, prefix);
        assertEquals(await state(prefix), "CANCELLED");
        const { code, stdout, stderr } = await finish(again, ["api", "logs"], SLOW);
        assertEquals(numbers(stdout), upTo(5));
        assert(code !== 0);
        assertStringIncludes(stdout + stderr, "cancelled");
        assertStringIncludes(await sky.ok(["api", "status", "-a"]), "CANCELLED");
        await Deno.remove(file);
      },
    );

    await t.step("a stream that is cut again and again is resumed without loss or repeat", async () => {
      const { id, file } = await held(2_000);
      // After each cut a connection may carry a little more. Those of short questions end without a cut.
      const fate = () => network.cuts < 6 ? { down: 4_000 + network.cuts * 17_077 } : null;
      await using network: BadNetwork = new BadNetwork(() => ({ port: server.port }), fate);
      const env = { SKYPILOT_API_SERVER_ENDPOINT: network.url };
      const child = sky.spawn(["api", "logs", id], { env });
      await until(() => network.cuts >= 5, { what: "the connection to be cut", timeoutMs: SLOW });
      await Deno.remove(file);
      const { code, stdout, stderr } = await finish(child, ["api", "logs"], SLOW);
      assertEquals(numbers(stdout), upTo(2_000));
      assertEquals([code, stderr.trimEnd().split("\n").at(-1)], [1, NO_CLOUD]);
    });

    await t.step("a finished request is streamed whole, many times at once", async () => {
      const { id, file } = await held(1_000);
      await Deno.remove(file);
      await until(async () => await state(id) === "FAILED", { what: "the launch to fail", timeoutMs: SLOW });
      const all = await Promise.all(upTo(4).map(() => sky.run(["api", "logs", id])));
      for (const { stdout } of all) assertEquals(numbers(stdout), upTo(1_000));
    });

    await t.step("when the server is killed, who follows is told and not left waiting", async () => {
      const { id, file } = await held(3);
      const child = sky.spawn(["api", "logs", id]);
      await until(async () => await state(id) === "RUNNING", { what: "the request to run", timeoutMs: SLOW });
      await server.kill();
      const { code, stderr } = await finish(child, ["api", "logs"], SLOW);
      assertEquals(code, 1);
      assertStringIncludes(stderr, server.url);
      await server.run();
      // It forgets its requests; that must come out as just that.
      const { code: later, stderr: words } = await sky.run(["api", "logs", id]);
      assertEquals(later, 1);
      assertStringIncludes(words, `Request '${id}' not found`);
      await Deno.remove(file);
    });
  },
});
