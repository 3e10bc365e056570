import { assertEquals } from "@std/assert";
import { newResources } from "../../core/resources.ts";
import { parseResources } from "../../core/resources_parse.ts";
import { formatVirtualType, parseVirtualType, virtualTypeOf } from "../../core/virtual_types.ts";

const typeOf = (yaml: unknown) =>
  formatVirtualType(virtualTypeOf(parseResources(yaml).candidates[0] ?? newResources()));

Deno.test("virtualTypeOf gives the vectors of appendix A.6", () => {
  assertEquals(typeOf({}), "2CPU--2GB");
  assertEquals(typeOf({ accelerators: "L4:2" }), "8CPU--32GB--L4:2");
  assertEquals(typeOf({ cpus: 4 }), "4CPU--4GB");
  assertEquals(typeOf({ cpus: "4+" }), "4CPU--4GB");
  assertEquals(typeOf({ cpus: 4, accelerators: "L4:2" }), "4CPU--16GB--L4:2");
  assertEquals(typeOf({ memory: "4x", cpus: 2 }), "2CPU--8GB");
  assertEquals(typeOf({ cpus: 0.5, memory: 1 }), "0.5CPU--1GB");
  assertEquals(typeOf({ accelerators: "H100:0.5" }), "4CPU--16GB--H100:1");
});

Deno.test("parseVirtualType reads what formatVirtualType writes", () => {
  for (const text of ["2CPU--2GB", "4CPU--16GB--H100:1", "0.5CPU--1GB", "4CPU--16GB--A100-80GB:8"]) {
    const type = parseVirtualType(text);
    assertEquals(type === null ? null : formatVirtualType(type), text);
  }
  for (const text of ["", "m6i.large", "2CPU", "2CPU--2GB--", "xCPU--2GB", "2CPU--2GB--L4"]) {
    assertEquals(parseVirtualType(text), null);
  }
});
