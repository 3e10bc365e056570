import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Answers, DAY, inputOf, lines, NOW, sky } from "./fake_sky.ts";

const BUCKET = {
  name: "my-bucket",
  launched_at: NOW / 1000 - 2 * DAY,
  store: ["S3"],
  last_use: "sky launch -c my-cluster task.yaml",
  status: "READY",
};
const VOLUME = {
  name: "vol1",
  type: "k8s-pvc",
  launched_at: NOW / 1000 - 25 * 3600,
  cloud: "kubernetes",
  region: "my-ctx",
  zone: null,
  size: "100",
  config: { storage_class_name: "fast", access_mode: "ReadWriteOnce" },
  name_on_cloud: "vol1-fcd1",
  user_hash: "fcd1e5cf",
  user_name: "alice",
  workspace: "default",
  usedby_pods: [],
  usedby_clusters: ["c1", "c2"],
  last_attached_at: new Date(2026, 10, 24, 5, 38, 46).getTime() / 1000,
  status: "READY",
  is_ephemeral: false,
};

const some: Answers = { storageLs: () => [BUCKET], volumes: () => [VOLUME] };
const none: Answers = { storageLs: () => [], volumes: () => [] };

Deno.test("storage ls shows the table of cli.md §8.1, the whole command with -v, and the empty state", async () => {
  assertEquals(
    (await sky(["storage", "ls"], { answers: some })).text,
    lines(
      "NAME       UPDATED     STORE  COMMAND                      STATUS  ",
      "my-bucket  2 days ago  S3     sky launch -c my-cluster...  READY   ",
    ),
  );
  assertStringIncludes((await sky(["storage", "ls", "-v"], { answers: some })).text, BUCKET.last_use);
  const empty = await sky(["storage", "ls"], { answers: none });
  assertEquals([empty.code, empty.text], [0, "No existing storage.\n"]);
});

Deno.test("volumes ls shows the table of cli.md §8.2, more with -v, and the empty state", async () => {
  const row =
    "vol1  k8s-pvc  kubernetes/my-ctx  100Gi  alice  default    25h  READY   2026-11-24 05:38:46  c1, c2   False         ";
  for (const word of ["volumes", "volume"]) {
    assertEquals(
      (await sky([word, "ls"], { answers: some })).text,
      lines(
        "Kubernetes PVCs:",
        "NAME  TYPE     INFRA              SIZE   USER   WORKSPACE  AGE  STATUS  LAST_USE             USED_BY  IS_EPHEMERAL  ",
        row,
      ),
    );
  }
  const verbose = await sky(["volumes", "ls", "-v", "-r"], { answers: some });
  assertStringIncludes(
    verbose.text,
    "IS_EPHEMERAL  NAME_ON_CLOUD  STORAGE_CLASS  ACCESS_MODE    MESSAGE  \n",
  );
  assertEquals(inputOf(verbose, "volumes"), { refresh: "true" });
  const broken = {
    ...VOLUME,
    type: "k8s-hostpath",
    config: { host_path: "/data" },
    error_message: "no such\nnode",
  };
  const two = await sky(["volumes", "ls"], { answers: { volumes: () => [broken, VOLUME] } });
  assertStringIncludes(two.text, "\n\nKubernetes HostPath Volumes:\n");
  assertStringIncludes(two.text, "IS_EPHEMERAL  HOST_PATH  MESSAGE       \n");
  assertStringIncludes(two.text, "False         /data      no such node  \n");
  assertEquals((await sky(["volumes", "ls"], { answers: none })).text, "No existing volumes.\n");
});

Deno.test("storage delete and volumes delete tell what is not there, and exit 0", async () => {
  const storage = await sky(["storage", "delete", "foo", "tmp-*", "-y"], { answers: none });
  assertEquals([storage.code, storage.text], [
    0,
    lines("Storage foo not found.", "No storage(s) to delete."),
  ]);
  const volumes = await sky(["volumes", "delete", "foo", "bar"], { answers: some });
  assertEquals(
    [volumes.code, volumes.text],
    [0, lines("Volume foo not found.", "Volume bar not found.", "No volumes to delete.")],
  );
  assertEquals(
    (await sky(["storage", "delete", "-a"], { answers: none })).text,
    "No storage(s) to delete.\n",
  );
});

Deno.test("storage delete and volumes delete want one selector, and refuse what they cannot do", async () => {
  for (const argv of [["storage"], ["storage", "x", "-a"], ["volumes"], ["volumes", "x", "-a", "-p"]]) {
    const [group = "", ...rest] = argv;
    const ran = await sky([group, "delete", ...(group === "storage" ? rest : rest)], { answers: none });
    assertEquals(ran.code, 2);
    assertStringIncludes(ran.err, "Error: Either --all or a name must be specified.\n");
  }
  const ran = await sky(["storage", "delete", "my-*", "-y"], { answers: some });
  assertEquals(ran.code, 1);
  assertStringIncludes(ran.err, "sky.exceptions.NotSupportedError: Cannot delete storage 'my-bucket': ");
});
