/** The conformance suite on ssh hosts. */
import { ssh } from "../../clouds/ssh/mod.ts";
import { testConformance } from "../clouds/conformance.ts";
import { subjectOn } from "./site.ts";

testConformance(subjectOn("ssh", ssh), ssh);
