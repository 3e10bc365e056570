/** `POST /api/reads`: many questions in one exchange, without requests. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { decodeError } from "../../../api/errors.ts";
import type { ReadAnswer } from "../../../api/reads.ts";
import { READS_PATH } from "../../../api/routes.ts";
import { SkyError } from "../../../core/errors.ts";
import { ENV_VARS, makeRig } from "../rig.ts";

const read = (name: string, body: Record<string, unknown> = {}) => ({ name, body });

Deno.test("reads answers in order what the official endpoints answer, and leaves no request behind", async () => {
  await using rig = await makeRig();
  const id = await rig.submit("/jobs/queue/v2");
  const payload = await rig.app(`/api/get?request_id=${id}`).then((response) => response.json());
  const before = (await rig.engine.list({ allStatus: true })).length;
  const reads = [
    read("sky.workspaces.get"),
    read("sky.status", { refresh: "NONE", all_users: false }),
    read("sky.jobs.queue_v2", { limit: 5, fields: ["job_id"] }),
    read("sky.enabled_clouds", { expand: "True" }),
  ];
  const response = await rig.post(READS_PATH, { reads });
  assertEquals(response.status, 200);
  const answers: ReadAnswer[] = await response.json();
  assertEquals(answers[0], { value: { default: {} } });
  assertEquals(answers[1], { value: [] });
  assertEquals(answers[2], { value: JSON.parse(payload.return_value) });
  assert("value" in answers[3]! && Array.isArray(answers[3].value));
  assertEquals((await rig.engine.list({ allStatus: true })).length, before);
});

Deno.test("reads: one that fails hides nothing of the others; the caller is the envelope's user", async () => {
  const seen: string[] = [];
  await using rig = await makeRig({
    works: {
      "sky.status": () => Promise.reject(new SkyError("invalid_config", "bad", { hint: "mend it" })),
      "sky.serve.status": () => Promise.reject(new TypeError("a bug")),
      "sky.workspaces.get": (_body, ctx) => {
        seen.push(ctx.user.id, ctx.workspace, ctx.command);
        return ctx.step("once", () => Promise.resolve({ w: {} }));
      },
    },
  });
  const response = await rig.post(READS_PATH, {
    entrypoint_command: "sky status",
    override_skypilot_config: { active_workspace: "w" },
    reads: [
      read("sky.status"),
      read("sky.workspaces.get"),
      read("sky.serve.status", { service_names: null }),
    ],
  });
  const answers: ReadAnswer[] = await response.json();
  const error = decodeError((answers[0] as { error: unknown }).error);
  assertEquals([error.code, error.message, error.hint], ["invalid_config", "bad", "mend it"]);
  assertEquals(answers[1], { value: { w: {} } });
  assertEquals(decodeError((answers[2] as { error: unknown }).error).code, "internal");
  assertEquals(seen, [ENV_VARS.SKYPILOT_USER_ID, "w", "sky status"]);
  assertEquals(rig.faults.filter((line) => line.includes("sky.serve.status")).length, 1);
});

Deno.test("reads refuses what does more than look, and what no schema allows", async () => {
  await using rig = await makeRig();
  const refused = async (...reads: unknown[]) => {
    const response = await rig.post(READS_PATH, { reads });
    return [response.status, await response.text()] as const;
  };
  for (
    const one of [
      read("sky.launch", { task: "run: x", cluster_name: "c" }),
      read("sky.status", { refresh: "FORCE" }),
      read("sky.nothing"),
    ]
  ) {
    const [status, text] = await refused(one);
    assertEquals(status, 422, one.name);
    assertStringIncludes(text, "only reads");
  }
  assertEquals((await refused(read("sky.status", { all_users: "perhaps" })))[0], 422);
  assertEquals((await refused({ name: 1 }))[0], 422);
  assertEquals((await refused(...Array.from({ length: 65 }, () => read("sky.status"))))[0], 422);
  assertEquals(await rig.engine.list({ allStatus: true }), []);
});
