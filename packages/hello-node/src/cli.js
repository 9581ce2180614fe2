#!/usr/bin/env node
import { slugify } from "./index.js";

const title = process.argv.slice(2).join(" ");
if (title === "") {
  console.error("usage: hello-slug TITLE");
  process.exitCode = 2;
} else {
  console.log(slugify(title));
}
