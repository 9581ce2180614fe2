// Lint: every file must parse (node --check) and keep the few rules below.
import { spawnSync } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const rules = [
  [/\s+$/, "white space at the end of the line"],
  [/\t/, "a tab"],
  [/\bvar\s/, "var; use const or let"],
  [/[^=!]==[^=]/, "==; use ==="],
];

let faults = 0;
for (const folder of ["src", "scripts", "test"]) {
  for (const file of (await readdir(new URL(`${folder}/`, root))).sort()) {
    faults += await lint(`${folder}/${file}`);
  }
}
console.log(faults === 0 ? "no faults" : `${faults} faults`);
process.exitCode = faults === 0 ? 0 : 1;

async function lint(name) {
  const path = fileURLToPath(new URL(name, root));
  const checked = spawnSync(process.execPath, ["--check", path], { encoding: "utf8" });
  let found = 0;
  if (checked.status !== 0) {
    console.error(checked.stderr.trimEnd());
    found += 1;
  }
  const lines = (await readFile(path, "utf8")).split("\n");
  for (const [index, line] of lines.entries()) {
    // This file holds what the rules look for.
    for (const [pattern, fault] of name === "scripts/lint.js" ? [] : rules) {
      if (pattern.test(line)) {
        console.error(`${name}:${index + 1}: ${fault}`);
        found += 1;
      }
    }
  }
  return found;
}
