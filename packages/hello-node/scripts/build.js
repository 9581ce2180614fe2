// Build: copy src/ into a fresh dist/, with the version in front of each file.
import { chmod, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";

const root = new URL("../", import.meta.url);
const { name, version } = JSON.parse(await readFile(new URL("package.json", root), "utf8"));

await rm(new URL("dist/", root), { recursive: true, force: true });
await mkdir(new URL("dist/", root));
for (const file of (await readdir(new URL("src/", root))).sort()) {
  const source = await readFile(new URL(`src/${file}`, root), "utf8");
  const target = new URL(`dist/${file}`, root);
  const shebang = source.match(/^#!.*\n/)?.[0] ?? "";
  await writeFile(target, `${shebang}// ${name} ${version}\n${source.slice(shebang.length)}`);
  await chmod(target, shebang ? 0o755 : 0o644);
  console.log(`dist/${file}`);
}
