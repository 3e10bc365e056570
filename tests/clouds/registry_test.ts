import { assertEquals, assertRejects } from "@std/assert";
import { SkyError } from "../../core/errors.ts";
import { local } from "../../clouds/local/mod.ts";
import { openClouds } from "../../clouds/registry.ts";

Deno.test("openClouds lists and loads the clouds there are", async () => {
  const clouds = openClouds();
  for (const name of clouds.names) assertEquals((await clouds.load(name)).name, name);
  const error = await assertRejects(() => clouds.load("vapour"), SkyError, "vapour");
  assertEquals(error.code, "not_supported");
});

Deno.test("openClouds takes more clouds, or others in their place", async () => {
  const fake = { ...local, name: "fake" };
  const clouds = openClouds({ fake: () => Promise.resolve(fake), local: () => Promise.resolve(fake) });
  assertEquals(clouds.names, ["ssh", "slurm", "local", "fake"]);
  assertEquals([await clouds.load("fake"), await clouds.load("local")], [fake, fake]);
  assertEquals([...clouds.loaded], ["fake", "local"]);
});
