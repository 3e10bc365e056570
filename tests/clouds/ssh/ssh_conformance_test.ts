/** The conformance suite on an SSH node pool of two real sshds. */
import { ssh } from "../../../clouds/ssh/mod.ts";
import { testConformance } from "../conformance.ts";
import { canServe, PoolSite } from "./site.ts";

testConformance({
  name: "ssh",
  gives: true,
  canBeCut: true,
  open: (folder) => PoolSite.open(folder),
  ...(canServe ? {} : { lacks: "no sshd is installed" }),
}, ssh);
