/** Offers of pools: virtual types, GPUs, what is not enough, and answers of hosts that lie. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { NoOffer, Offer } from "../../../clouds/cloud.ts";
import type { Claim } from "../../../clouds/ssh/ledger.ts";
import { offersOf, type PoolRoom, portsOf } from "../../../clouds/ssh/offers.ts";
import { parseProbe } from "../../../clouds/ssh/probe.ts";
import { parseResources } from "../../../core/resources_parse.ts";

function pool(name: string, gpus: number, more: { cpus?: number; usable?: boolean } = {}): PoolRoom {
  const hosts = [1, 2].map((n) => ({
    machine: `${name}${n}`,
    host: `${name}${n}`,
    cpus: more.cpus ?? 32,
    memoryGb: 128,
    gpus: Array.from({ length: gpus }, (_, index) => ({ index, name: "H100", memoryMib: 81_000 })),
    usable: more.usable ?? true,
    reason: more.usable === false ? "it cannot be reached" : null,
  }));
  return { pool: name, hosts };
}

function ask(pools: PoolRoom[], yaml: Record<string, unknown>, numNodes = 1, claims: Claim[] = []) {
  const wish = parseResources(yaml).candidates[0]!;
  return offersOf(pools, wish, { numNodes, claims });
}

const types = (answer: readonly Offer[] | NoOffer) =>
  (answer as Offer[]).map(({ resources }) => [resources.region, resources.instanceType]);
const hint = (answer: readonly Offer[] | NoOffer) => (answer as NoOffer).hint ?? "";

Deno.test("offersOf gives the virtual types of Kubernetes, shrunk to a small host unless asked for", () => {
  assertEquals(types(ask([pool("a", 0)], {})), [["ssh-a", "2CPU--2GB"]]);
  assertEquals(types(ask([pool("a", 0)], { cpus: "4+" })), [["ssh-a", "4CPU--4GB"]]);
  assertEquals(types(ask([pool("a", 0)], { cpus: 2, memory: "4x" })), [["ssh-a", "2CPU--8GB"]]);
  assertEquals(types(ask([pool("a", 8)], { accelerators: "H100:2" })), [["ssh-a", "8CPU--32GB--H100:2"]]);
  assertEquals(types(ask([pool("a", 8, { cpus: 4 })], { accelerators: "H100:2" })), [[
    "ssh-a",
    "4CPU--32GB--H100:2",
  ]]);
  assertStringIncludes(hint(ask([pool("a", 0, { cpus: 1 })], { cpus: 2 })), "a1: 1 CPU in all");
  assertEquals(types(ask([pool("a", 0), pool("b", 0)], { infra: "ssh/b" })), [["ssh-b", "2CPU--2GB"]]);
});

Deno.test("offersOf says what is not enough, and what there is instead", () => {
  const answer = ask([pool("a", 4)], { accelerators: "H100:8" }) as NoOffer;
  assertStringIncludes(
    answer.hint!,
    "The SSH Node Pool may not have enough resources. Pool 'a' lacks a host with",
  );
  assertEquals(answer.similar, ["H100:4"]);
  assertStringIncludes(hint(ask([pool("a", 0)], {}, 3)), "lacks 3 hosts");
  assertStringIncludes(hint(ask([pool("a", 0)], { infra: "ssh/b" })), "no SSH Node Pool 'b' (there are: a)");
  assertStringIncludes(hint(ask([pool("a", 0, { usable: false })], {})), "a1: it cannot be reached");
  assertStringIncludes(hint(ask([pool("a", 0)], { use_spot: true })), "no spot");
});

Deno.test("offersOf puts pools that are taken behind those that are free", () => {
  const taken = [1, 2].map((n): Claim => ({
    cluster: "x",
    node: n,
    pool: "a",
    machine: `a${n}`,
    host: `a${n}`,
    cpus: 32,
    memoryGb: 1,
    gpus: [],
    ports: [],
    stopped: false,
  }));
  const found = types(ask([pool("a", 0), pool("b", 0)], {}, 1, taken)).map(([region]) => region);
  assertEquals(found, ["ssh-b", "ssh-a"]);
});

Deno.test("portsOf reads ranges, within reason", () => {
  assertEquals(portsOf(["8080", "9000-9002", "9001"]), [8080, 9000, 9001, 9002]);
  assertEquals(portsOf(["1-65535"]), null);
});

const ANSWER = `home=/home/u
user=u
hostname=box
connection=10.0.0.9 5000 10.0.0.1 22
cpus=8
memory=16384000
disk=1048576
tool=bash
tool=evil
gpu=0, NVIDIA H100 80GB HBM3, 81559
gpu=0, twice, 1
gpu=nonsense
`;

Deno.test("parseProbe reads what a host says", () => {
  assertEquals(parseProbe(ANSWER), {
    home: "/home/u",
    user: "u",
    hostname: "box",
    ip: "10.0.0.1",
    cpus: 8,
    memoryGb: 15.6,
    diskFreeGb: 1,
    gpus: [{ index: 0, name: "H100", memoryMib: 81_559 }],
    tools: ["bash"],
  });
});

Deno.test("parseProbe believes no host that makes no sense", () => {
  assertEquals(parseProbe(""), null);
  assertEquals(parseProbe(ANSWER.replace("home=/home/u", "home=relative")), null);
  assertEquals(parseProbe(ANSWER.replace("home=/home/u", "home=/a\u001b[2J")), null);
  assertEquals(parseProbe(ANSWER.replace("cpus=8", "cpus=1e99")), null);
  const strange = parseProbe(
    ANSWER.replace("user=u", "user=$(id)").replace("connection=10.0.0.9 5000 10.0.0.1", "connection=a b c;d")
      .replace("hostname=box", "hostname=`x`"),
  );
  assertEquals([strange?.user, strange?.ip, strange?.hostname], ["", null, ""]);
});
