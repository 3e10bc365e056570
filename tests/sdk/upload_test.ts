import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { newTask } from "../../core/task_parse.ts";
import type { Dag, Task } from "../../core/task.ts";
import type { Sky } from "../../sdk/client.ts";
import { connectionLost, makeSky, ours } from "./fake_server.ts";

/** The upload half of a server (wire.md §12.2), in memory. */
class Blobs {
  readonly parts = new Map<number, Uint8Array>();
  readonly requests: string[] = [];
  done: string | null = null;
  /** Called before a chunk is kept; may answer or throw instead. */
  before: (index: number) => Response | null = () => null;

  async answer(request: Request, url: URL): Promise<Response> {
    const query = url.searchParams;
    if (url.pathname === "/upload_v2/blob") {
      return Response.json({ exists: this.done === query.get("blob_id") }, { headers: ours() });
    }
    assertEquals([request.method, url.pathname], ["POST", "/upload_v2"]);
    assertEquals(request.headers.get("Content-Type"), "application/octet-stream");
    assertEquals(request.headers.get("X-SkyPilot-API-Version"), null);
    assertEquals(query.get("user_hash"), "fcd1e5cf");
    const index = Number(query.get("chunk_index"));
    const total = Number(query.get("total_chunks"));
    this.requests.push(`${index}/${total}`);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const instead = this.before(index);
    if (instead !== null) return instead;
    this.parts.set(index, bytes);
    const missing = Array.from({ length: total }, (_, i) => i).filter((i) => !this.parts.has(i));
    if (missing.length > 0) {
      return Response.json({ status: "uploading", missing_chunks: missing.map((i) => `part${i}`) });
    }
    this.done = query.get("upload_id");
    return Response.json({ status: "completed", missing_chunks: null });
  }
}

async function withProject(
  work: (at: { folder: string; sky: Sky; blobs: Blobs; dag: Dag }) => Promise<void>,
) {
  const folder = await Deno.makeTempDir({ prefix: "sky-test-" });
  try {
    const workdir = join(folder, "proj");
    await Deno.mkdir(workdir);
    const noise = new Uint8Array(60_000);
    for (let i = 0; i < noise.length; i++) noise[i] = (i * i * 2654435761) >>> 13;
    await Deno.writeFile(join(workdir, "noise"), noise);
    await Deno.writeTextFile(join(folder, "tok.txt"), "tok\n");
    const task: Task = newTask({
      workdir,
      fileMounts: {
        "/remote/tok": join(folder, "tok.txt"),
        "/data": "s3://bucket/x",
        "/store": { name: "b", source: "~/stored", mode: "MOUNT" },
      },
      run: "ls",
    });
    await Deno.mkdir(join(folder, "stored"));
    const blobs = new Blobs();
    const sky = makeSky((request, url) => blobs.answer(request, url), {
      env: (name) => name === "HOME" ? folder : undefined,
    });
    await work({ folder, sky, blobs, dag: { name: null, execution: "serial", tasks: [task] } });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("uploadMounts uploads once, in chunks, and maps the paths", async () => {
  await withProject(async ({ folder, sky, blobs, dag }) => {
    const phases: string[] = [];
    const options = {
      chunkBytes: 9_000,
      retryMs: 1,
      progress: ({ phase }: { phase: string }) => phases.push(phase),
    };
    const { dag: uploaded, blobId } = await sky.uploadMounts(dag, options);
    assertEquals(blobs.done, blobId);
    assert(blobs.parts.size > 3);
    assertEquals(uploaded.tasks[0]?.fileMountsMapping, {
      [join(folder, "proj")]: join(folder, "proj"),
      [join(folder, "tok.txt")]: join(folder, "tok.txt"),
      "~/stored": join(folder, "stored"),
    });
    assertEquals(phases[0], "pack");
    assertEquals(phases.at(-1), "done");
    const sent = blobs.requests.length;
    assertEquals((await sky.uploadMounts(dag, options)).blobId, blobId);
    assertEquals(blobs.requests.length, sent);
  });
});

Deno.test("uploadMounts repeats failed chunks and goes on where a cut upload stopped", async () => {
  await withProject(async ({ sky, blobs, dag }) => {
    const options = { chunkBytes: 9_000, retryMs: 1 };
    const seen = new Map<number, number>();
    blobs.before = (index) => {
      const tries = (seen.get(index) ?? 0) + 1;
      seen.set(index, tries);
      if (tries === 1) throw connectionLost();
      return tries === 2 ? new Response("proxy", { status: 502 }) : null;
    };
    await sky.uploadMounts(dag, options);
    const total = blobs.parts.size;
    assertEquals(blobs.done === null, false);
    // another client finds half of it there
    blobs.done = null;
    blobs.before = () => null;
    for (let index = 0; index < total; index += 2) blobs.parts.delete(index);
    blobs.requests.length = 0;
    await sky.uploadMounts(dag, options);
    assertEquals(blobs.requests.length, Math.ceil(total / 2));
  });
});

Deno.test("uploadMounts gives up after three tries and names the chunk", async () => {
  await withProject(async ({ sky, blobs, dag }) => {
    blobs.before = () => Response.json({ detail: "no room" }, { status: 500 });
    const failing = sky.uploadMounts(dag, { retryMs: 1 });
    const error = await assertRejects(() => failing, SkyError, "Failed to upload chunk: 1 / 1: no room");
    assertEquals([error.details["status"], blobs.requests.length], [500, 3]);
    blobs.requests.length = 0;
    blobs.before = () => Response.json({ detail: "Invalid zip file: x" }, { status: 400 });
    await assertRejects(() => sky.uploadMounts(dag, { retryMs: 1 }), SkyError, "Invalid zip file");
    assertEquals(blobs.requests.length, 1);
  });
});

Deno.test("uploadMounts packs only the workdir for exec", async () => {
  await withProject(async ({ folder, sky, dag }) => {
    const { dag: uploaded } = await sky.uploadMounts(dag, { workdirOnly: true });
    assertEquals(uploaded.tasks[0]?.fileMountsMapping, { [join(folder, "proj")]: join(folder, "proj") });
  });
});

Deno.test("uploadMounts leaves a local server's DAG alone and asks nothing without local paths", async () => {
  const sky = (remote: boolean) =>
    makeSky(() => {
      throw new Error("asked");
    }, { remote });
  const task = newTask({ workdir: "/somewhere", run: "ls" });
  const dag: Dag = { name: null, execution: "serial", tasks: [task] };
  assertEquals(await sky(false).uploadMounts(dag), { dag, blobId: null });
  const bare: Dag = { ...dag, tasks: [newTask({ run: "ls", fileMounts: { "/d": "s3://b/x" } })] };
  const { dag: mapped, blobId } = await sky(true).uploadMounts(bare);
  assertEquals([mapped.tasks[0]?.fileMountsMapping, blobId], [{}, null]);
});

Deno.test("uploadMounts names a path that is not there", async () => {
  const dag: Dag = { name: null, execution: "serial", tasks: [newTask({ workdir: "/no/such/dir" })] };
  const error = await assertRejects(
    () => makeSky(() => Response.json(null)).uploadMounts(dag),
    SkyError,
    "/no/such/dir",
  );
  assertEquals(error.code, "file_not_found");
});
