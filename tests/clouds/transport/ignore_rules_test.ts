import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { isIgnored, type Rules, rulesBelow, topRules } from "../../../clouds/transport/ignore_rules.ts";

/** What of a tree is kept. Files ending in `/` are directories that are empty. */
async function kept(files: Record<string, string>): Promise<string[]> {
  const source = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(join(source, dirname(name)), { recursive: true });
      await Deno.writeTextFile(join(source, name), text);
    }
    const found: string[] = [];
    const walk = async (path: string, rules: Rules) => {
      for await (const entry of Deno.readDir(join(source, path))) {
        const inner = path === "" ? entry.name : `${path}/${entry.name}`;
        if (isIgnored(rules, inner, { directory: entry.isDirectory })) continue;
        if (entry.isDirectory) await walk(inner, await rulesBelow(rules, source, inner));
        else if (!inner.endsWith("ignore")) found.push(inner);
      }
    };
    await walk("", await topRules(source));
    return found.sort();
  } finally {
    await Deno.remove(source, { recursive: true });
  }
}

Deno.test("isIgnored follows .gitignore: patterns, anchors, negation, directories, case", async () => {
  const gitignore = "*.log\n!keep.log\n/top\nbuild/\n# comment\n\\#hash\na/**/z\n";
  const files = [
    "x.log",
    "keep.log",
    "X.LOG",
    "top",
    "sub/top",
    "build/a",
    "sub/build",
    "#hash",
    "a/b/c/z",
    "a/y",
  ];
  assertEquals(
    await kept({ ".gitignore": gitignore, ...Object.fromEntries(files.map((name) => [name, ""])) }),
    [
      "X.LOG",
      "a/y",
      "keep.log",
      "sub/build",
      "sub/top",
    ],
  );
});

Deno.test("isIgnored lets deeper files win, also for whole directories", async () => {
  const files = {
    ".gitignore": "logs/\n*.tmp\n",
    "logs/a": "",
    "sub/.gitignore": "!logs/\n!*.tmp\nonly-here\n",
    "sub/logs/a": "",
    "sub/logs/b.tmp": "",
    "sub/x.tmp": "",
    "sub/only-here": "",
    "only-here": "",
    "x.tmp": "",
  };
  assertEquals(await kept(files), ["only-here", "sub/logs/a", "sub/logs/b.tmp", "sub/x.tmp"]);
});

Deno.test("topRules takes .skyignore instead of .gitignore, nested ones too", async () => {
  const files = {
    ".skyignore": "*.a\n",
    ".gitignore": "*.b\n",
    "sub/.skyignore": "*.c\n",
    "sub/.gitignore": "*.d\n",
    "1.a": "",
    "1.b": "",
    "1.c": "",
    "sub/1.a": "",
    "sub/1.c": "",
    "sub/1.d": "",
  };
  assertEquals(await kept(files), ["1.b", "1.c", "sub/1.d"]);
});

Deno.test("topRules counts .git/info/exclude with .gitignore, and keeps .git", async () => {
  const files = {
    ".git/info/exclude": "secret\n*.x\n",
    ".git/HEAD": "",
    ".gitignore": "!1.x\n",
    secret: "",
    "1.x": "",
  };
  assertEquals(await kept(files), [".git/HEAD", ".git/info/exclude", "1.x"]);
});

Deno.test("isIgnored bears odd names", async () => {
  const names = [
    "..a",
    "...",
    "a b",
    " lead",
    "trail ",
    "new\nline",
    "ü🚀",
    "!bang",
    "#hash",
    "back\\slash",
    "[x]",
  ];
  const tree = Object.fromEntries(names.flatMap((name) => [[name, ""], [`dir${name}/f`, ""]]));
  const all = await kept({ ...tree, ".gitignore": "nothing\n" });
  assertEquals(all.length, names.length * 2);
  assertEquals(await kept({ ...tree, ".gitignore": "*\n" }), []);
  assertEquals(
    await kept({
      "a [1]!/f": "",
      "b/.gitignore": "!a\\ \\[1\\]!/\n",
      ".gitignore": "a *\n",
      "b/a [1]!/f": "",
    }),
    [
      "b/a [1]!/f",
    ],
  );
});
