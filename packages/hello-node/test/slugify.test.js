import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { slugify } from "../dist/index.js";

const cli = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

test("titles become lower-case words joined by hyphens", () => {
  assert.equal(slugify("Hello, World!"), "hello-world");
  assert.equal(slugify("  Crème   brûlée, twice!"), "creme-brulee-twice");
  assert.equal(slugify("Straße 7"), "strasse-7");
});

test("what has no letter or digit is empty", () => {
  assert.equal(slugify("…"), "");
  assert.equal(slugify(""), "");
});

test("a slug is cut between words, and inside the first one only", () => {
  assert.equal(slugify("one two three", { limit: 7 }), "one-two");
  assert.equal(slugify("one two three", { limit: 6 }), "one");
  assert.equal(slugify("extraordinary", { limit: 5 }), "extra");
});

test("a limit that is no whole number above 0 is refused", () => {
  assert.throws(() => slugify("x", { limit: 0 }), RangeError);
  assert.throws(() => slugify("x", { limit: 1.5 }), RangeError);
});

test("the command prints the slug, and its usage without a title", () => {
  assert.equal(execFileSync(process.execPath, [cli, "Hello,", "World!"], { encoding: "utf8" }), "hello-world\n");
  assert.equal(spawnSync(process.execPath, [cli]).status, 2);
});
