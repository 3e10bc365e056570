import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { NoOffer } from "../../../clouds/cloud.ts";
import type { LaunchedResources } from "../../../core/cluster.ts";
import type { Resources } from "../../../core/resources.ts";
import { offersOn } from "../../../clouds/local/offers.ts";
import type { Machine } from "../../../clouds/local/machine.ts";

const NOTHING: Resources = {
  cloud: null,
  region: null,
  zone: null,
  instanceType: null,
  cpus: null,
  memory: null,
  accelerators: null,
  acceleratorArgs: null,
  useSpot: null,
  jobRecovery: null,
  diskSize: null,
  diskTier: null,
  networkTier: null,
  localDisk: null,
  ephemeralStorage: null,
  maxHourlyCost: null,
  ports: null,
  imageId: null,
  labels: null,
  autostop: null,
  priority: null,
  priorityClass: null,
  other: {},
};

const gpu = (index: number, name: string, memoryMib = 24_000) => ({ index, name, memoryMib });
const BIG: Machine = {
  cpus: 64,
  memoryGb: 500,
  gpus: [gpu(0, "H100", 81_559), gpu(1, "H100", 81_559), gpu(2, "L4"), gpu(3, "L4")],
};
const SMALL: Machine = { cpus: 1.5, memoryGb: 0.9, gpus: [] };

function one(machine: Machine, wish: Partial<Resources>, numNodes = 1): LaunchedResources {
  const offers = offersOn(machine, { ...NOTHING, ...wish }, numNodes);
  assert(Array.isArray(offers), `no offer: ${JSON.stringify(offers)}`);
  assertEquals(offers.length, 1);
  return offers[0].resources;
}

function none(machine: Machine, wish: Partial<Resources>, numNodes = 1): NoOffer {
  const offer = offersOn(machine, { ...NOTHING, ...wish }, numNodes);
  assert(!Array.isArray(offer));
  return offer as NoOffer;
}

const type = (machine: Machine, wish: Partial<Resources>) => one(machine, wish).instanceType;

Deno.test("offersOn follows the rules of Kubernetes (appendix A.6)", () => {
  assertEquals(type(BIG, {}), "2CPU--2GB");
  assertEquals(type(BIG, { accelerators: { L4: 2 } }), "8CPU--32GB--L4:2");
  assertEquals(type(BIG, { cpus: "4" }), "4CPU--4GB");
  assertEquals(type(BIG, { cpus: "4+" }), "4CPU--4GB");
  assertEquals(type(BIG, { cpus: "4", accelerators: { L4: 2 } }), "4CPU--16GB--L4:2");
  assertEquals(type(BIG, { cpus: "2", memory: "4x" }), "2CPU--8GB");
  assertEquals(type(BIG, { memory: "16+" }), "2CPU--16GB");
  assertEquals(type(BIG, { cpus: "0.5", memory: "1.5" }), "0.5CPU--1.5GB");
  assertEquals(type(BIG, { accelerators: { L4: 0.5 } }), "4CPU--16GB--L4:1");
  assertEquals(type(BIG, { instanceType: "4CPU--16GB--H100:1" }), "4CPU--16GB--H100:1");
});

Deno.test("offersOn is free and decides every field", () => {
  const ports = ["8080", "9000-9002"];
  assertEquals(one(BIG, { ports, labels: { a: "b" }, diskSize: 50, accelerators: { H100: 1 } }), {
    cloud: "local",
    region: null,
    zone: null,
    instanceType: "4CPU--16GB--H100:1",
    cpus: 4,
    memory: 16,
    accelerators: { H100: 1 },
    useSpot: false,
    diskSize: 50,
    ports,
    labels: { a: "b" },
    imageId: null,
    hourlyCost: 0,
  });
});

Deno.test("offersOn shrinks what was not asked for to a small machine", () => {
  const { cpus, memory } = one(SMALL, {});
  assertEquals([cpus, memory], [1.5, 0.9]);
  assertEquals(one({ ...SMALL, gpus: [gpu(0, "T4")] }, { accelerators: { T4: 1 } }).cpus, 1.5);
});

Deno.test("offersOn says why nothing fits", () => {
  const cases: [Partial<Resources>, string][] = [
    [{ cpus: "65" }, "64 CPUs"],
    [{ memory: "501" }, "500 GB"],
    [{ useSpot: true }, "spot"],
    [{ region: "us-east-1" }, "regions"],
    [{ imageId: "docker:x" }, "images"],
    [{ instanceType: "m6i.large" }, "m6i.large"],
    [{ accelerators: { "A 100": 1 } }, "space"],
    [{ accelerators: { H100: 3 } }, "2 H100, 3 asked for"],
    [{ accelerators: { TPU: 1 } }, "no TPU"],
  ];
  for (const [wish, hint] of cases) assertStringIncludes(none(BIG, wish).hint!, hint);
});

Deno.test("offersOn names near misses, the likest first", () => {
  assertEquals(none(BIG, { accelerators: { L4: 8 } }).similar, ["L4:2", "H100:2"]);
  assertEquals(none(SMALL, { accelerators: { L4: 1 } }).similar, []);
});

Deno.test("offersOn lets nodes share CPUs, but not GPUs", () => {
  assertEquals(one(SMALL, {}, 5).cpus, 1.5);
  assertEquals(one(BIG, { accelerators: { h100: 1 } }, 2).accelerators, { h100: 1 });
  assertStringIncludes(none(BIG, { accelerators: { H100: 1 } }, 3).hint!, "3 x 1 asked for");
});

Deno.test("offersOn matches names up to a dash, but never less memory than the name says", () => {
  const machine = { ...BIG, gpus: [gpu(0, "A100", 40_960), gpu(1, "A100-80GB", 81_920)] };
  assertEquals(type(machine, { accelerators: { "A100-80GB": 1 } }), "4CPU--16GB--A100-80GB:1");
  none(machine, { accelerators: { "A100-80GB": 2 } });
  assertEquals(type(machine, { accelerators: { A100: 2 } }), "8CPU--32GB--A100:2");
  none(machine, { accelerators: { A1: 1 } });
});
