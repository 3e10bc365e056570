/** The conformance suite on Slurm. */
import { slurm } from "../../clouds/slurm/mod.ts";
import { testConformance } from "../clouds/conformance.ts";
import { subjectOn } from "./site.ts";

testConformance(subjectOn("slurm", slurm), slurm);
