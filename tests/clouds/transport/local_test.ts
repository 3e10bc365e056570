import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { LocalRunner } from "../../../clouds/transport/local.ts";
import { processEnv, signal, withNode } from "../support.ts";

import { filesContract, withSource } from "./files_contract.ts";

filesContract("local", withNode);

Deno.test("upload of a directory that holds the nodes does not copy them into themselves", () =>
  withNode(async (node) => {
    await Deno.writeTextFile(join(node.root, "mine"), "1");
    await node.runner.upload(node.root, "~/sky_workdir", { signal });
    assertEquals(await node.file("sky_workdir/mine"), "1");
    assertEquals(await Deno.lstat(join(node.home, "sky_workdir/cluster")).catch(() => null), null);
    assertEquals(node.notes.length, 1);
  }));

Deno.test("upload outside of home and /tmp keeps the content in the home and links to it", () =>
  withNode(async (node) => {
    const link = `/var/tmp/sky test ${crypto.randomUUID()}`;
    try {
      const source = await withSource(node, { "f": "1" });
      await node.runner.upload(source, link, { signal });
      assertEquals(await Deno.readLink(link), `${node.home}/.sky/file_mounts${link}`);
      assertEquals(await Deno.readTextFile(join(link, "f")), "1");
      // Again, and from another node of the same cluster.
      await Deno.writeTextFile(join(source, "g"), "2");
      await node.runner.upload(source, link, { signal });
      assertEquals(await Deno.readTextFile(join(link, "g")), "2");
      const home = join(node.cluster, "node1");
      await Deno.mkdir(join(home, ".sky"), { recursive: true });
      const second = new LocalRunner({
        nodeId: "node1",
        home,
        env: processEnv,
        processes: null,
        cluster: node.cluster,
        avoid: [],
        note: () => {},
      });
      await second.upload(source, link, { signal });
      assertEquals(await Deno.readTextFile(`${home}/.sky/file_mounts${link}/f`), "1");
    } finally {
      await Deno.remove(link);
    }
  }));
