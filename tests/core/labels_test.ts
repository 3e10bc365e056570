import { checkLabels } from "../../core/labels.ts";
import { assertRefuses } from "./refusal.ts";

const refused = (cloud: string, key: string, value = "v") =>
  assertRefuses(
    () => checkLabels({ [key]: value }, cloud),
    "invalid_argument",
    /^The following labels are invalid:\n/,
  );

Deno.test("checkLabels follows the rules of domain.md 1.3.6", () => {
  checkLabels({ "example.com/team": "ML_1.x", a: "", "a-b_c.d": "x" }, "kubernetes");
  for (const key of ["Team", "-a", "a/b/c", "", "a".repeat(64)]) refused("kubernetes", key);
  refused("ssh", "a", "-x");
  refused("kubernetes", "a", "x".repeat(64));
  checkLabels({ "Any:Thing/ok": "x y".replace(" ", "") }, "aws");
  refused("aws", "aws:x");
  refused("aws", "a b");
  refused("aws", "a", "b c");
  checkLabels({ team_1: "a-b", x: "" }, "gcp");
  refused("gcp", "1a");
  refused("gcp", "a", "Upper");
  refused("gcp", "a".repeat(64));
  checkLabels({ "what ever": "at all" }, "lambda");
});
