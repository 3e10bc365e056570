/** The conformance suite on a fake cloud and on one that always fails. */
import { join } from "@std/path";
import { SkyError } from "../../core/errors.ts";
import { FailingCloud, FakeCloud } from "../support/fake_cloud.ts";
import { type Site, testConformance } from "./conformance.ts";

function siteOf(cloud: FakeCloud): Site {
  return {
    cloud,
    infra: cloud.name,
    cut() {
      cloud.unreachable = new SkyError("network", "no route to the cloud");
      return Promise.resolve();
    },
    heal() {
      cloud.unreachable = null;
      return Promise.resolve();
    },
    leftovers: () => Promise.resolve([...cloud.machines.keys()]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

testConformance(
  {
    name: "fake",
    gives: true,
    canBeCut: true,
    open: (folder) => Promise.resolve(siteOf(new FakeCloud({ folder: join(folder, "fake") }))),
  },
  new FakeCloud({ folder: "" }),
);

testConformance(
  {
    name: "failing",
    gives: false,
    canBeCut: false,
    open: (folder) => Promise.resolve(siteOf(new FailingCloud({ folder: join(folder, "failing") }))),
  },
  new FailingCloud({ folder: "" }),
);
