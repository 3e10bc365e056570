import { jobContract } from "./job_contract.ts";
import { withRemoteNode } from "./remote_support.ts";

jobContract("remote", (work) => withRemoteNode(work));
