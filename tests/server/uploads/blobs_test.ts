/** Uploads in parts: any order, repeats, races, limits, sweeping. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../../core/errors.ts";
import { type BlobLimits, Blobs, type Part } from "../../../server/uploads/blobs.ts";
import { LINK, streamOf, tree, zipOf } from "./zips.ts";

const ID = "ab".repeat(32);
const V1_ID = "sky-2026-01-02-03-04-05-123456-0123abcd";

async function withBlobs(
  test: (blobs: Blobs, folder: string) => Promise<void>,
  limits: Partial<BlobLimits> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(new Blobs(folder, limits), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const part = (index: number, total: number, more: Partial<Part> = {}): Part => ({
  user: "u1",
  version: "v2",
  upload: ID,
  index,
  total,
  ...more,
});

function cut(bytes: Uint8Array, pieces: number): Uint8Array[] {
  const size = Math.ceil(bytes.length / pieces);
  return Array.from({ length: pieces }, (_, i) => bytes.slice(i * size, (i + 1) * size));
}

Deno.test("a blob of one part is there after its answer", () =>
  withBlobs(async (blobs) => {
    assertEquals(await blobs.exists("u1", ID), false);
    const answer = await blobs.addPart(part(0, 1), streamOf(zipOf([{ name: "tmp/a", content: "A" }])));
    assertEquals(answer, { status: "completed", missing_chunks: null });
    assertEquals(await blobs.exists("u1", ID), true);
    assertEquals(await blobs.exists("u2", ID), false);
    assertEquals(await tree(blobs.base("u1", ID)), { tmp: "dir", "tmp/a": "A" });
  }));

Deno.test("parts come in any order; the missing ones are told; a repeated part is taken again", () =>
  withBlobs(async (blobs) => {
    const pieces = cut(zipOf([{ name: "big", content: crypto.getRandomValues(new Uint8Array(60_000)) }]), 3);
    const missing = async (index: number) =>
      (await blobs.addPart(part(index, 3), streamOf(pieces[index]!))).missing_chunks;
    assertEquals(await missing(2), ["part0", "part1"]);
    assertEquals(await missing(2), ["part0", "part1"]);
    assertEquals(await missing(0), ["part1"]);
    assertEquals(await missing(1), null);
    assert(await blobs.exists("u1", ID));
    assertEquals(await missing(0), null);
  }));

Deno.test("parts in parallel: at least one is told completed, and only after the blob is there", () =>
  withBlobs(async (blobs, folder) => {
    const content = crypto.getRandomValues(new Uint8Array(65_536));
    const pieces = cut(zipOf([{ name: "f", content }]), 8);
    const answers = await Promise.all(pieces.map(async (piece, index) => {
      const answer = await blobs.addPart(part(index, 8), streamOf(piece));
      if (answer.status === "completed") assert(await blobs.exists("u1", ID));
      return answer.status;
    }));
    assert(answers.includes("completed"));
    assertEquals(await Deno.readFile(join(blobs.base("u1", ID), "f")), content);
    assertEquals(await tree(join(folder, "u1", "uploads")), {});
  }));

Deno.test("a bad archive is refused and leaves nothing; the next try succeeds", () =>
  withBlobs(async (blobs, folder) => {
    const bad = [
      zipOf([{ name: "../x" }]),
      zipOf([{ name: "l", content: "/etc", mode: LINK }]),
      new Uint8Array(10),
    ];
    for (const zip of bad) {
      await assertRejects(() => blobs.addPart(part(0, 1), streamOf(zip)), SkyError, "Invalid zip file");
      assertEquals(await blobs.exists("u1", ID), false);
      assertEquals(await tree(join(folder, "u1", "uploads")), {});
    }
    await blobs.addPart(part(0, 1), streamOf(zipOf([{ name: "ok" }])));
    assert(await blobs.exists("u1", ID));
  }));

Deno.test("ids, users and indexes that are none are refused", () =>
  withBlobs(async (blobs) => {
    const refuse = (bad: Part) =>
      assertRejects(() => blobs.addPart(bad, streamOf(new Uint8Array())), SkyError, "Invalid");
    await refuse(part(0, 1, { upload: "../../x" }));
    await refuse(part(0, 1, { upload: ID.toUpperCase() }));
    await refuse(part(0, 1, { user: "../u" }));
    await refuse(part(0, 1, { user: "" }));
    await refuse(part(0, 1, { version: "v1" }));
    await refuse(part(1, 1));
    await refuse(part(-1, 1));
    await refuse(part(0, 0));
    await refuse(part(0, 1e9));
    await refuse(part(0.5, 2));
  }));

Deno.test("parts, uploads and archives have limits", async () => {
  const zip = zipOf([{ name: "f", content: crypto.getRandomValues(new Uint8Array(5000)) }]);
  const tooLarge = async (limits: Partial<BlobLimits>, pieces: number) => {
    await withBlobs(async (blobs) => {
      const send = async () => {
        for (const [index, piece] of cut(zip, pieces).entries()) {
          await blobs.addPart(part(index, pieces), streamOf(piece));
        }
      };
      assertEquals((await assertRejects(send, SkyError)).code, "payload_too_large");
      assertEquals(await blobs.exists("u1", ID), false);
    }, limits);
  };
  await tooLarge({ maxPartBytes: 1000 }, 1);
  await tooLarge({ maxUploadBytes: 4000 }, 2);
  await tooLarge({ maxBytes: 4000 }, 1);
});

Deno.test("v1 uploads are laid over each other, links of the first are no way out for the second", () =>
  withBlobs(async (blobs) => {
    const v1 = { version: "v1" as const, upload: V1_ID };
    const add = (entries: Parameters<typeof zipOf>[0]) =>
      blobs.addPart(part(0, 1, v1), streamOf(zipOf(entries)));
    await add([{ name: "w/a", content: "1" }, { name: "w/d/b", content: "1" }, {
      name: "w/l",
      content: "d",
      mode: LINK,
    }]);
    await add([{ name: "w/a", content: "2" }, { name: "w/l/c", content: "2" }]);
    assertEquals(await tree(blobs.base("u1", null)), {
      "w": "dir",
      "w/a": "2",
      "w/d": "dir",
      "w/d/b": "1",
      "w/l": "dir",
      "w/l/c": "2",
    });
    await assertRejects(
      () =>
        add([{ name: "d/x", content: "..", mode: LINK }, { name: "d/m", content: "x/../..", mode: LINK }]),
      SkyError,
      "Invalid zip file",
    );
  }));

Deno.test("sweep removes old blobs and half uploads, not fresh ones and not those in use", () =>
  withBlobs(async (blobs, folder) => {
    const [old, used, fresh] = ["11".repeat(32), "22".repeat(32), "33".repeat(32)];
    for (const upload of [old, used, fresh]) {
      await blobs.addPart(part(0, 1, { upload }), streamOf(zipOf([{ name: "f" }])));
    }
    await blobs.addPart(part(0, 2, { upload: "44".repeat(32) }), streamOf(new Uint8Array(3)));
    const now = Date.now() + 10 * 3_600_000;
    const ago = new Date(now - 2 * 3_600_000);
    for (const id of [old, used]) await Deno.utime(blobs.base("u1", id), ago, ago);
    await Deno.utime(join(folder, "u1", "uploads", "44".repeat(32)), ago, ago);
    const then = new Date(now);
    await Deno.utime(blobs.base("u1", fresh), then, then);
    const [oldLogs, newLogs] = [
      join(folder, "u1", "sky_logs", "c", "1-a"),
      join(folder, "u1", "sky_logs", "c", "2-b"),
    ];
    for (const logs of [oldLogs, newLogs]) await Deno.mkdir(logs, { recursive: true });
    const days = new Date(now - 2 * 86_400_000);
    await Deno.utime(oldLogs, days, days);
    await blobs.sweep({ inUse: new Set([used]), now, maxAgeMs: 3_600_000 });
    assertEquals(await tree(join(folder, "u1", "sky_logs")), { "c": "dir", "c/2-b": "dir" });
    const exist = async (id: string) => await blobs.exists("u1", id);
    assertEquals([await exist(old), await exist(used), await exist(fresh)], [false, true, true]);
    assertEquals(await tree(join(folder, "u1", "uploads")), {});
  }));
