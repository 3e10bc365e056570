/** The conformance suite on an SSH node pool of two real sshds. */
import { ssh } from "../../../clouds/ssh/mod.ts";
import { testConformance } from "../conformance.ts";
import { canServe, PoolSite } from "./site.ts";

if (canServe) {
  testConformance(
    { name: "ssh", gives: true, canBeCut: true, open: (folder) => PoolSite.open(folder) },
    ssh,
  );
} else {
  Deno.test({ name: "ssh: the conformance suite needs an sshd", ignore: true, fn() {} });
}
