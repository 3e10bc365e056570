import { assert, assertEquals } from "@std/assert";
import type { NodeCapacity } from "../../clouds/cloud.ts";
import { couldEverFit, type Demand, demandOf, type Held, place, shareOf } from "../../clusters/queue.ts";
import { random } from "./random.ts";

function cpuNode(cpus: number): NodeCapacity {
  return { cpus, memoryGb: 4, accelerators: null };
}
function gpuNode(gpus: number, name = "H100"): NodeCapacity {
  const indexes = Array.from({ length: gpus }, (_, i) => i);
  return { cpus: 64, memoryGb: 4, accelerators: { name, indexes } };
}
function demand(partial: Partial<Demand> = {}): Demand {
  return { numNodes: 1, gpus: 0, gpuName: null, ...partial };
}
function hold(nodes: number[], gpus: number[][] = nodes.map(() => []), share = 1): Held {
  return { nodes, gpus, share };
}

Deno.test("place admits two CPU jobs per vCPU, whatever they asked for", () => {
  const held: Held[] = [];
  for (;;) {
    const placement = place(demand(), [cpuNode(8)], held);
    if (placement === null) break;
    held.push({ ...placement, share: 1 });
  }
  assertEquals(held.length, 16);
});

Deno.test("place puts a gang on distinct nodes, all or nothing", () => {
  const capacity = [cpuNode(1), cpuNode(1), cpuNode(1)];
  assertEquals(place(demand({ numNodes: 3 }), capacity, [])?.nodes, [0, 1, 2]);
  assertEquals(place(demand({ numNodes: 4 }), capacity, []), null);
  const full = [hold([1]), hold([1])];
  assertEquals(place(demand({ numNodes: 3 }), capacity, full), null);
  assertEquals(place(demand({ numNodes: 2 }), capacity, full)?.nodes, [0, 2]);
});

Deno.test("place gives jobs different GPUs and counts them", () => {
  const capacity = [gpuNode(4)];
  const first = place(demand({ gpus: 3, gpuName: "H100" }), capacity, []);
  assertEquals(first?.gpus, [[0, 1, 2]]);
  const held = [hold([0], [[0, 1, 2]])];
  assertEquals(place(demand({ gpus: 2, gpuName: "H100" }), capacity, held), null);
  assertEquals(place(demand({ gpus: 1, gpuName: "H100" }), capacity, held)?.gpus, [[3]]);
});

Deno.test("place wants the GPU that was asked for", () => {
  assertEquals(place(demand({ gpus: 1, gpuName: "A100" }), [gpuNode(1, "H100")], []), null);
  assertEquals(place(demand({ gpus: 1, gpuName: "h100" }), [gpuNode(1, "H100")], [])?.gpus, [[0]]);
  assertEquals(place(demand({ gpus: 1, gpuName: "H100" }), [cpuNode(4)], []), null);
});

Deno.test("place packs fractions of a GPU and keeps whole ones whole", () => {
  const capacity = [gpuNode(2)];
  const held: Held[] = [hold([0], [[1]], 0.5)];
  const half = place(demand({ gpus: 0.5, gpuName: "H100" }), capacity, held);
  assertEquals(half?.gpus, [[1]]);
  held.push(hold([0], [[1]], 0.5));
  assertEquals(place(demand({ gpus: 0.5, gpuName: "H100" }), capacity, held)?.gpus, [[0]]);
  assertEquals(place(demand({ gpus: 1, gpuName: "H100" }), capacity, held)?.gpus, [[0]]);
});

Deno.test("place adds up tenths of a GPU without loss", () => {
  const held: Held[] = [];
  for (let i = 0; i < 10; i++) {
    const placement = place(demand({ gpus: 0.1, gpuName: "H100" }), [gpuNode(1)], held);
    assert(placement !== null, `the ${i}th tenth fits`);
    held.push({ ...placement, share: shareOf(0.1) });
  }
  assertEquals(place(demand({ gpus: 0.1, gpuName: "H100" }), [gpuNode(1)], held), null);
});

Deno.test("demandOf rescales what a cluster with a fraction of a GPU hands out", () => {
  const job = { numNodes: 1, accelerators: { H100: 0.25 } };
  assertEquals(demandOf(job, { accelerators: { H100: 0.5 } }).gpus, 0.5);
  assertEquals(demandOf(job, { accelerators: { H100: 2 } }).gpus, 0.25);
  assertEquals(demandOf({ numNodes: 2, accelerators: null }, { accelerators: { H100: 1 } }), {
    numNodes: 2,
    gpus: 0,
    gpuName: null,
  });
});

Deno.test("place never gives out more than there is, whatever comes and goes", () => {
  const next = random(7);
  for (let round = 0; round < 200; round++) {
    const capacity = Array.from(
      { length: 1 + next.below(4) },
      () => next.below(2) === 0 ? cpuNode(1 + next.below(4)) : gpuNode(1 + next.below(4)),
    );
    const held: Held[] = [];
    for (let step = 0; step < 40; step++) {
      if (held.length > 0 && next.below(3) === 0) {
        held.splice(next.below(held.length), 1);
        continue;
      }
      const gpus = [0, 0, 0.5, 0.3, 1, 2][next.below(6)] ?? 0;
      const wish = demand({ numNodes: 1 + next.below(3), gpus, gpuName: gpus > 0 ? "H100" : null });
      const placement = place(wish, capacity, held);
      if (placement === null) continue;
      assert(couldEverFit(wish, capacity));
      assertEquals(new Set(placement.nodes).size, wish.numNodes);
      held.push({ ...placement, share: shareOf(gpus) });
    }
    for (const [node, whole] of capacity.entries()) {
      const here = held.filter((holder) => holder.nodes.includes(node));
      assert(here.length * 0.5 <= whole.cpus);
      for (const index of whole.accelerators?.indexes ?? []) {
        const used = here.reduce(
          (sum, holder) =>
            sum + (holder.gpus[holder.nodes.indexOf(node)]?.includes(index) ? holder.share : 0),
          0,
        );
        assert(used <= 1 + 1e-9, `GPU ${index} is given out ${used} times`);
      }
    }
  }
});
