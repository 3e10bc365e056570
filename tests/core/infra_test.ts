import { assertEquals } from "@std/assert";
import { canonicalCloud, CLOUD_NAMES, cloudDisplayName } from "../../core/cloud_names.ts";
import { formatInfra, infraCell, parseInfra } from "../../core/infra.ts";
import { assertRefuses } from "./refusal.ts";

const arn = "arn:aws:eks:us-east-1:1:cluster/x";

Deno.test("parseInfra and formatInfra give the vectors of appendix A.1", () => {
  const cases: [string | null, string | null, string | null, string | null, string | null][] = [
    ["aws", "aws", null, null, "aws"],
    ["AWS/us-east-1", "aws", "us-east-1", null, "aws/us-east-1"],
    ["aws/*/us-east-1a", "aws", null, "us-east-1a", "aws/*/us-east-1a"],
    ["*/us-east-1", null, "us-east-1", null, "*/us-east-1"],
    ["k8s", "kubernetes", null, null, "kubernetes"],
    [`k8s/${arn}`, "kubernetes", arn, null, `kubernetes/${arn}`],
    ["ssh/lab", "ssh", "ssh-lab", null, "ssh/lab"],
    ["slurm/hpc/gpu", "slurm", "hpc", "gpu", "slurm/hpc/gpu"],
    [" /aws/ ", "aws", null, null, "aws"],
    ["", null, null, null, null],
    [null, null, null, null, null],
    ["*", null, null, null, null],
    ["local", "local", null, null, "local"],
    ["kubernetes/*", "kubernetes", null, null, "kubernetes"],
    ["ssh/a/b", "ssh", "ssh-a/b", null, "ssh/a/b"],
  ];
  for (const [text, cloud, region, zone, back] of cases) {
    const infra = parseInfra(text);
    assertEquals(infra, { cloud, region, zone }, String(text));
    assertEquals(formatInfra(infra), back);
    assertEquals(parseInfra(back), infra);
  }
});

Deno.test("parseInfra refuses with the words of cli.md 2.4", () => {
  assertRefuses(
    () => parseInfra("aws/a/b/c"),
    "invalid_argument",
    'Invalid infra format: aws/a/b/c. Expected format is "cloud", "cloud/region", or "cloud/region/zone".',
  );
  assertRefuses(
    () => parseInfra("aws//x"),
    "invalid_argument",
    'Invalid infra format: aws//x. Format should not contain empty parts (e.g., double slashes "//").',
  );
  assertRefuses(
    () => parseInfra("nocloud"),
    "invalid_argument",
    /^Cloud 'nocloud' is not a valid cloud among \['aws', 'azure', .*'local'.*\]$/,
  );
});

Deno.test("infraCell shows the zone, else the region; Slurm its cluster; pools without prefix", () => {
  assertEquals(infraCell({ cloud: "aws", region: "us-east-1", zone: "us-east-1a" }), "AWS (us-east-1a)");
  assertEquals(infraCell({ cloud: "aws", region: "us-east-1", zone: null }), "AWS (us-east-1)");
  assertEquals(infraCell({ cloud: "slurm", region: "hpc", zone: "gpu" }), "Slurm (hpc)");
  assertEquals(infraCell({ cloud: "ssh", region: "ssh-lab", zone: null }), "SSH (lab)");
  assertEquals(infraCell({ cloud: "local", region: null, zone: null }), "Local");
  assertEquals(infraCell({ cloud: null, region: null, zone: null }), "-");
  const context = "gke_proj_us-central1_my-very-long-context-name";
  const long = { cloud: "kubernetes", region: context, zone: null };
  assertEquals(infraCell(long), "Kubernetes (gke_proj_us...ontext-name)");
  assertEquals(infraCell(long, { full: true }), `Kubernetes (${context})`);
});

Deno.test("cloud names have a canonical and a display form", () => {
  assertEquals(canonicalCloud(" AWS "), "aws");
  assertEquals(canonicalCloud("K8s"), "kubernetes");
  assertEquals(["do", "vsphere", "local", "primeintellect"].map(cloudDisplayName), [
    "DO",
    "vSphere",
    "Local",
    "PrimeIntellect",
  ]);
  const spec =
    "aws azure gcp ibm lambda scp oci kubernetes runpod vast vsphere cudo fluidstack paperspace primeintellect do " +
    "nebius ssh slurm hyperbolic seeweb shadeform yotta mithril verda local";
  assertEquals([...CLOUD_NAMES].sort(), spec.split(" ").sort());
});
