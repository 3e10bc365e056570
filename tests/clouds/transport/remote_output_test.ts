import { outputContract } from "./output_contract.ts";
import { withRemoteNode } from "./remote_support.ts";

outputContract("remote", (work) => withRemoteNode(work));
