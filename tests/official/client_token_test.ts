/** SkyPilot's own client and a server of ours that wants tokens: login, files up and down, logout. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { officialBin, OfficialSky, VERSIONS } from "../support/official.ts";
import { TestSky } from "../support/sky.ts";

for (const version of VERSIONS) {
  const bin = await officialBin(version);

  Deno.test({
    name: `SkyPilot ${version} logs in to a server of ours that wants tokens`,
    ignore: bin === null,
    async fn() {
      await using server = await TestSky.make();
      const started = await server.ok(["api", "start", "--deploy", "--host", "0.0.0.0"]);
      const token = /^Service account token \(shown once\): (sky_\S+)$/m.exec(started)?.[1];
      assert(token !== undefined, started);
      const { port } = (await server.registration())!;
      const url = `http://127.0.0.1:${port}`;
      await using sky = await OfficialSky.make(bin!, null);

      const env = { SKYPILOT_API_SERVER_ENDPOINT: url };
      assertStringIncludes(
        await sky.text("status", { env, code: 1 }),
        "sky.exceptions.ApiServerAuthenticationError: Authentication required",
      );
      const wrong = await sky.text(`api login -e ${url} --token ${token.slice(0, -4)}`, { code: 1 });
      assertStringIncludes(wrong, url);
      assertStringIncludes(await sky.text(`api login -e ${url} --token ${token}`), `API server at: ${url}`);
      assertMatch(await sky.text("api info"), /User: admin \(sa-[0-9a-f]+\)/);

      await Deno.mkdir(join(sky.work, "project"));
      await Deno.writeTextFile(join(sky.work, "project", "file.txt"), "sent with a token\n");
      await Deno.writeTextFile(
        join(sky.work, "task.yaml"),
        "workdir: ./project\nresources:\n  cpus: 0.1+\nrun: cat file.txt\n",
      );
      assertStringIncludes(await sky.text("launch -y -c one task.yaml"), "sent with a token");
      assertMatch(await sky.text("queue one"), /^1 +\S+ +admin .* SUCCEEDED /m);
      await sky.text("logs one --sync-down");
      const logs = join(sky.home, "sky_logs", "one");
      const [folder] = await Array.fromAsync(Deno.readDir(logs));
      assertStringIncludes(
        await Deno.readTextFile(join(logs, folder!.name, "run.log")),
        "sent with a token",
      );
      assertMatch(await sky.text("api status -a"), /admin.* sky\.launch .* SUCCEEDED/);
      assertStringIncludes(await sky.text("down -y one"), "Terminating cluster one...done");
      assertStringIncludes(await sky.text("api logout"), "Logged out of SkyPilot API server.");
      const config = await Deno.readTextFile(join(sky.home, ".sky", "config.yaml"));
      assertEquals(config.includes("api_server"), false, config);
      await server.ok(["api", "stop"]);
    },
  });
}
