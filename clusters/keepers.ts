/** The keepers of all clusters, one per incarnation, made when first needed. keeper.ts is what they do. */
import type { ClusterRecord } from "../core/cluster.ts";
import { JobKeeper, type KeeperOptions } from "./keeper.ts";

export class JobKeepers implements AsyncDisposable {
  readonly #byHash = new Map<string, Promise<JobKeeper>>();
  /** A new keeper of the same jobs must not begin before the old one has let go. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #make: (cluster: ClusterRecord) => Promise<KeeperOptions>;
  #closed = false;

  constructor(make: (cluster: ClusterRecord) => Promise<KeeperOptions>) {
    this.#make = make;
  }

  /** The keeper of this incarnation. It keeps the machines it was made with: release it when they change. */
  of(cluster: ClusterRecord): Promise<JobKeeper> {
    const known = this.#byHash.get(cluster.hash);
    if (known !== undefined) return known;
    if (this.#closed) return Promise.reject(new Error("the keepers are closed"));
    const making = Promise.resolve(this.#leaving.get(cluster.hash))
      .then(() => this.#make(cluster))
      .then((options) => new JobKeeper(options));
    this.#byHash.set(cluster.hash, making);
    making.catch(() => this.#byHash.delete(cluster.hash));
    return making;
  }

  /** Let go of one cluster; its jobs run on. */
  async release(hash: string): Promise<void> {
    const keeper = this.#byHash.get(hash);
    this.#byHash.delete(hash);
    if (keeper !== undefined) {
      const leaving = keeper.then((each) => each.release());
      this.#leaving.set(hash, leaving);
      const gone = () => {
        if (this.#leaving.get(hash) === leaving) this.#leaving.delete(hash);
      };
      leaving.then(gone, gone);
    }
    await this.#leaving.get(hash);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#byHash.keys()].map((hash) => this.release(hash)));
  }
}
