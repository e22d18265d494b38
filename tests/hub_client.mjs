// A client of the Hub in JavaScript: says who it is, lists a repository and downloads all of it.
import { createHash } from "node:crypto";
import { downloadFile, listFiles, whoAmI } from "@huggingface/hub";

const [hubUrl, repo, accessToken] = process.argv.slice(2);
const { name, auth } = await whoAmI({ hubUrl, accessToken });
const files = {};
for await (const file of listFiles({ hubUrl, repo, accessToken, recursive: true })) {
  if (file.type !== "file") continue;
  const content = await downloadFile({ hubUrl, repo, accessToken, path: file.path });
  const bytes = Buffer.from(await content.arrayBuffer());
  files[file.path] = {
    size: file.size,
    lfs: file.lfs?.oid ?? null,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
const missing = await downloadFile({ hubUrl, repo, accessToken, path: "missing.txt" });
console.log(JSON.stringify({ name, role: auth.accessToken.role, files, missing }));
