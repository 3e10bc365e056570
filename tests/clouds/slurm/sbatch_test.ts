import { assertEquals } from "@std/assert";
import { sbatchArguments, type Wanted } from "../../../clouds/slurm/sbatch.ts";

const WANTED: Wanted = {
  name: "c-1",
  partition: "main",
  numNodes: 2,
  cpus: 0.5,
  memoryGb: 1.5,
  gpu: null,
  maxTime: null,
  output: "/home/ann/.sky_provision/slurm-%j.out",
  options: {},
};

Deno.test("sbatchArguments asks for what was wished", () => {
  assertEquals(sbatchArguments(WANTED), {
    args: [
      "--parsable",
      "--job-name=c-1",
      "--output=/home/ann/.sky_provision/slurm-%j.out",
      "--error=/home/ann/.sky_provision/slurm-%j.out",
      "--partition=main",
      "--nodes=2",
      "--wait-all-nodes=1",
      "--no-requeue",
      "--ntasks-per-node=1",
      "--cpus-per-task=1",
      "--mem=1536M",
    ],
    warnings: [],
  });
  const { args } = sbatchArguments({
    ...WANTED,
    cpus: 8,
    memoryGb: 0,
    gpu: { type: "h100", count: 4 },
    maxTime: "1-00:00:00",
  });
  assertEquals(args.slice(-3), ["--cpus-per-task=8", "--gres=gpu:h100:4", "--time=1-00:00:00"]);
  assertEquals(
    sbatchArguments({ ...WANTED, gpu: { type: null, count: 2 } }).args.at(-1),
    "--gres=gpu:2",
  );
});

Deno.test("sbatchArguments adds the user's options and keeps its own", () => {
  const { args, warnings } = sbatchArguments({
    ...WANTED,
    maxTime: "1:00:00",
    options: {
      account: "lab",
      "--qos": "high",
      time: "2:00:00",
      exclusive: null,
      "mail-type": false,
      comment: "a 'b' $(c)",
      A: "x",
      nodes: 9,
      "job-name": "evil",
      J: "evil",
      wait_all_nodes: 0,
      array: "1-9",
      "bad\nname": 1,
      constraint: "a\n#SBATCH --nodes=9",
      licenses: { a: 1 },
    },
  });
  assertEquals(args.slice(10), [
    "--mem=1536M",
    "--account=lab",
    "--qos=high",
    "--time=2:00:00",
    "--exclusive",
    "--comment=a 'b' $(c)",
    "-A",
    "x",
  ]);
  assertEquals(warnings, [
    'sbatch option "nodes" is left out: sky sets it',
    'sbatch option "job-name" is left out: sky sets it',
    'sbatch option "J" is left out: sky sets it',
    'sbatch option "wait_all_nodes" is left out: sky sets it',
    'sbatch option "array" is left out: sky sets it',
    'sbatch option "bad\\nname" is left out: it is no name of an option',
    'sbatch option "constraint" is left out: a control character is in its value',
    'sbatch option "licenses" is left out: its value is no text',
  ]);
});
