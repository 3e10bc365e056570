/** Following logs that are asked for by POST: of a job, of a cluster's provisioning. Cuts: stream.ts. */
import type { Input } from "../api/operations.ts";
import { bodyOf, type EnvelopeOptions, submission } from "./envelope.ts";
import { followPost } from "./follow.ts";
import type { Http } from "./http.ts";
import type { LogSink } from "./sink.ts";
import type { StreamEnd } from "./stream.ts";

export interface ProvisionLogs {
  readonly cluster_name: string;
  readonly worker?: number | null;
  readonly follow: boolean;
  readonly tail: number;
}

interface Asked<I> {
  readonly envelope: EnvelopeOptions;
  readonly input: I;
  readonly sink: LogSink;
  readonly signal: AbortSignal | undefined;
}

export async function tailJob(http: Http, asked: Asked<Input<"logs">>): Promise<StreamEnd> {
  const { envelope, input, sink, signal } = asked;
  return await followPost(http, sink, {
    signal,
    follow: input.follow ?? true,
    repeatable: (input.tail ?? 0) === 0,
    exchange: (offset) =>
      submission(envelope, { key: "logs", input: offset === null ? input : { ...input, offset, tail: 0 } }),
  });
}

export async function tailProvisioning(http: Http, asked: Asked<ProvisionLogs>): Promise<void> {
  const { envelope, sink, signal } = asked;
  const { follow, tail, ...own } = asked.input;
  await followPost(http, sink, {
    signal,
    follow,
    repeatable: tail === 0,
    exchange: (offset) => ({
      method: "POST",
      path: "/provision_logs",
      query: { follow, tail: offset === null ? tail : 0, offset },
      json: { ...bodyOf(envelope, "provision_logs"), ...own },
    }),
  });
}
