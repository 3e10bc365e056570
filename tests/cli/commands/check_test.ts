import { assertEquals } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { inputOf, lines, sky } from "./fake_sky.ts";

const RESULT = { default: { Local: ["compute"] } };
const answers = { check: () => RESULT };
const logs = {
  check: () => "Checking credentials to enable infra for SkyPilot.\n  Local: enabled [compute]\n",
};

Deno.test("check streams the server's report and names the server", async () => {
  const ran = await sky(["check"], { answers, logs });
  assertEquals([ran.code, ran.err], [0, ""]);
  assertEquals(
    ran.text,
    lines(
      "Checking credentials to enable infra for SkyPilot.",
      "  Local: enabled [compute]",
      "",
      "Using SkyPilot API server: http://127.0.0.1:46580",
    ),
  );
  assertEquals(inputOf(ran, "check"), { clouds: null, verbose: false, workspace: null });
});

Deno.test("check takes names in any case, contexts of Kubernetes, and warns of other regions", async () => {
  const ran = await sky(["check", "AWS/us-east-1", "k8s/ctx/a", "ssh/pool", "Local", "-v", "-w", "team"], {
    answers,
  });
  assertEquals(inputOf(ran, "check"), {
    clouds: ["aws", "kubernetes/ctx/a", "ssh/pool", "local"],
    verbose: true,
    workspace: "team",
  });
  assertEquals(
    ran.text.split("\n")[0],
    "Infra 'AWS/us-east-1': the region is ignored, all of 'aws' is checked.",
  );
});

Deno.test("check -o json is the result and nothing else", async () => {
  const ran = await sky(["check", "aws/x", "-o", "json"], { answers, logs });
  assertEquals(JSON.parse(ran.out), RESULT);
  assertEquals(ran.err, "Infra 'aws/x': the region is ignored, all of 'aws' is checked.\n");
});

Deno.test("check of an unknown cloud is the server's error", async () => {
  const error = new SkyError("invalid_argument", "Cloud 'nocloud' is not a valid cloud among ['aws']");
  const ran = await sky(["check", "nocloud"], { answers: { check: () => Promise.reject(error) } });
  assertEquals([ran.code, ran.err], [1, "ValueError: Cloud 'nocloud' is not a valid cloud among ['aws']\n"]);
});
