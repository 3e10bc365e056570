import { assertEquals } from "@std/assert";
import {
  countAhead,
  parseGres,
  parseJobs,
  parseNodes,
  parsePartitions,
  parseSettings,
  parseSubmitted,
  stateWord,
} from "../../../clouds/slurm/facts.ts";

// As Slurm 22.05.8 prints it.
const NODE =
  "NodeName=n1 Arch=x86_64 CoresPerSocket=1  CPUAlloc=2 CPUEfctv=4 CPUTot=4 CPULoad=1.91 AvailableFeatures=(null) " +
  "ActiveFeatures=(null) Gres=gpu:h100:4 GresDrain=N/A GresUsed=gpu:h100:3(IDX:0-2) NodeAddr=127.0.0.1 " +
  "NodeHostName=vm Port=17401 Version=22.05.8 OS=Linux 6.1.0 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=4000 " +
  "AllocMem=1000 FreeMem=19110 Sockets=4 Boards=1 State=MIXED ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A " +
  "MCS_label=N/A Partitions=main,short,low  BootTime=2026-11-24T08:22:35 SlurmdStartTime=2026-11-24T11:35:54 " +
  "LastBusyTime=2026-11-24T11:35:54 CfgTRES=cpu=4,mem=4000M,billing=4 AllocTRES=cpu=2,mem=1000M CapWatts=n/a " +
  "CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s";
const PARTITION =
  "PartitionName=short AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=NO QoS=N/A " +
  "DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=2 MaxTime=00:01:00 " +
  "MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n1 PriorityJobFactor=1 PriorityTier=10 RootOnly=NO ReqResv=NO " +
  "OverSubscribe=NO OverTimeLimit=NONE PreemptMode=CANCEL State=UP TotalCPUs=4 TotalNodes=1 " +
  "SelectTypeParameters=NONE JobDefaults=(null) DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED " +
  "TRES=cpu=4,mem=4000M,node=1,billing=4";

Deno.test("parseNodes reads a node, and one that is drained with words that look like keys", () => {
  const [node] = parseNodes(`${NODE}\n`);
  assertEquals(node, {
    name: "n1",
    address: "127.0.0.1",
    partitions: ["main", "short", "low"],
    cpus: 4,
    cpusUsed: 2,
    memoryMb: 4000,
    memoryUsedMb: 1000,
    gres: [{ type: "h100", count: 4 }],
    gresUsed: [{ type: "h100", count: 3 }],
    state: "MIXED",
    flags: [],
    reason: null,
  });
  const drained = NODE.replace("State=MIXED", "State=IDLE+DRAIN") +
    " Reason=disk is =bad= State=UP CPUTot=999 [root@2026-11-24T11:40:17]";
  const [second] = parseNodes(drained);
  assertEquals([second!.state, second!.flags, second!.cpus], ["IDLE", ["DRAIN"], 4]);
  const [third] = parseNodes(NODE.replace("State=MIXED", "State=DOWN*+DRAIN"));
  assertEquals([third!.state, third!.flags], ["DOWN", ["DRAIN", "NOT_RESPONDING"]]);
});

Deno.test("stateWord is sinfo's word", () => {
  const word = (state: string) => stateWord(parseNodes(NODE.replace("State=MIXED", `State=${state}`))[0]!);
  for (
    const [state, said] of [
      ["IDLE", "idle"],
      ["MIXED", "mix"],
      ["ALLOCATED", "alloc"],
      ["IDLE+DRAIN", "drain"],
      ["MIXED+DRAIN", "drng"],
      ["IDLE+COMPLETING+DRAIN", "drng"],
      ["IDLE+COMPLETING", "comp"],
      ["IDLE+MAINTENANCE+RESERVED", "maint"],
      ["IDLE+RESERVED", "resv"],
      ["DOWN*+DRAIN", "down*"],
      ["DOWN", "down"],
      ["IDLE*", "idle*"],
    ]
  ) assertEquals([state, word(state!)], [state, said]);
});

Deno.test("parsePartitions reads limits and defaults", () => {
  const main = PARTITION.replace("=short", "=main").replace("Default=NO", "Default=YES")
    .replace("MaxNodes=2", "MaxNodes=UNLIMITED").replace("MaxTime=00:01:00", "MaxTime=UNLIMITED");
  assertEquals(parsePartitions(`${PARTITION}\n\n${main.replace("State=UP", "State=DOWN")}\n`), [
    { name: "short", isDefault: false, up: true, hidden: false, maxTime: "00:01:00", maxNodes: 2 },
    { name: "main", isDefault: true, up: false, hidden: false, maxTime: null, maxNodes: null },
  ]);
});

Deno.test("parseSettings reads what matters of a configuration", () => {
  const text = "Configuration data as of 2026-11-24T11:36:19\nClusterName             = t\n" +
    "SelectTypeParameters    = CR_CORE_MEMORY\nSLURM_VERSION           = 22.05.8\n";
  assertEquals(parseSettings(text), { clusterName: "t", version: "22.05.8", tracksMemory: true });
  assertEquals(parseSettings(text.replace("_MEMORY", "")).tracksMemory, false);
  assertEquals(parseSettings("garbage"), { clusterName: null, version: null, tracksMemory: false });
});

Deno.test("parseGres tells types and counts of GPUs alone", () => {
  const cases: [string, unknown][] = [
    ["gpu:h100:4", [{ type: "h100", count: 4 }]],
    ["gpu:4", [{ type: null, count: 4 }]],
    ["gpu", [{ type: null, count: 1 }]],
    ["gpu:a100", [{ type: "a100", count: 1 }]],
    ["gpu:h100:4(S:0-1),gpu:a100:2(IDX:0-1,3),lustre:1", [
      { type: "h100", count: 4 },
      { type: "a100", count: 2 },
    ]],
    ["gpu:h100:0(IDX:N/A)", [{ type: "h100", count: 0 }]],
    ["(null)", []],
    ["gpu:$(evil):2", [{ type: null, count: 2 }]],
    ["gpu:h100:99999999999999999999", [{ type: "h100", count: 0 }]],
    ["", []],
  ];
  for (const [text, expected] of cases) assertEquals(parseGres(text), expected, text);
});

Deno.test("parseJobs leaves out what is no line of it, oldest first", () => {
  const text = "10|RUNNING|2|None\n 2|PENDING|3-3|Resources\nslurm_load_jobs error: x\n" +
    "3|PENDING|9|(evil|$(x))\n4|lower|1|x\n6|PENDING|1|\x1b]0;evil\x07\n|RUNNING|1|None\n5|NODE_FAIL|1|\n";
  assertEquals(parseJobs(text), [
    { id: "2", state: "PENDING", reason: "Resources", numNodes: 3 },
    { id: "3", state: "PENDING", reason: "(evil|$(x))", numNodes: 9 },
    { id: "5", state: "NODE_FAIL", reason: null, numNodes: 1 },
    { id: "6", state: "PENDING", reason: "]0;evil", numNodes: 1 },
    { id: "10", state: "RUNNING", reason: null, numNodes: 2 },
  ]);
});

Deno.test("parseSubmitted reads both forms, behind warnings of the site", () => {
  assertEquals(parseSubmitted("12\n"), "12");
  assertEquals(parseSubmitted("welcome to hpc\n12;cluster\n"), "12");
  assertEquals(parseSubmitted("Submitted batch job 7 on cluster x\n"), "7");
  assertEquals(parseSubmitted("sbatch: error: 12 nodes\n"), null);
  assertEquals(parseSubmitted(""), null);
});

Deno.test("countAhead counts higher priorities and elder equals, once each", () => {
  const text = "9|100\n3|50\n4|50\n5|50\n8|1\n9|100\nbad|line\n";
  assertEquals(countAhead(text, "5"), 3);
  assertEquals(countAhead(text, "9"), 0);
  assertEquals(countAhead(text, "77"), 0);
});

Deno.test("parsers survive text made to hurt", () => {
  const hostile = [
    "NodeName=" + "a".repeat(1_000),
    "NodeName=../../x State=UP",
    "NodeName=-x",
    "NodeName=n$(x)",
  ];
  assertEquals(parseNodes(hostile.join("\n")), []);
  assertEquals(parsePartitions("PartitionName=a;b\nPartitionName=\nPartitionName=--x"), []);
  const begun = performance.now();
  parseNodes(`NodeName=n1 ${"x=".repeat(100_000)}`);
  parseNodes(`NodeName=n1 ${" ".repeat(200_000)}x`);
  parseJobs("1|RUNNING|".repeat(50_000));
  parseGres("gpu:".repeat(100_000));
  assertEquals(performance.now() - begun < 2_000, true);
});
