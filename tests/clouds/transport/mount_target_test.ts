import { assertEquals, assertThrows } from "@std/assert";
import { SkyError } from "../../../core/errors.ts";
import { placeOf } from "../../../clouds/transport/mount_target.ts";

Deno.test("placeOf follows the destination rules", () => {
  const cases: Record<string, [string, string | null]> = {
    "~": ["/h", null],
    "~/": ["/h", null],
    "~/a b": ["/h/a b", null],
    "~/sky_workdir": ["/h/sky_workdir", null],
    "data": ["/h/sky_workdir/data", null],
    "./data/x": ["/h/sky_workdir/data/x", null],
    "../x": ["/h/x", null],
    "~user/x": ["/h/sky_workdir/~user/x", null],
    "/tmp": ["/tmp", null],
    "/tmp/x": ["/tmp/x", null],
    "/h/x": ["/h/x", null],
    "/h": ["/h", null],
    "/home2": ["/h/.sky/file_mounts/home2", "/home2"],
    "/data/set": ["/h/.sky/file_mounts/data/set", "/data/set"],
    "/data/": ["/h/.sky/file_mounts/data", "/data"],
    "/tmp/../etc/x": ["/h/.sky/file_mounts/etc/x", "/etc/x"],
  };
  for (const [target, [path, link]] of Object.entries(cases)) {
    assertEquals(placeOf(target, "/h"), { path, link }, target);
  }
});

Deno.test("placeOf refuses targets that climb out", () => {
  for (const target of ["", "~/..", "../..", "~/../../etc", "a\0b", "/", "/tmp/.."]) {
    assertThrows(() => placeOf(target, "/h"), SkyError, "no place on a node", target);
  }
});
