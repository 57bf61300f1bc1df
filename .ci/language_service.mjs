// GitHub's own language service over the files named: prints each diagnostic and the counts, exits 1 on any.
//
//   node BUNDLE ROOT FILE...
//
// Actions of other repositories cannot be looked up from here, which the service reports for each: counted, not held
// against the file. Our own, by path or by the templates' placeholder, are read from ROOT: an unknown or missing input counts.
import {readFileSync} from "node:fs";
import path from "node:path";
import {DiagnosticSeverity} from "vscode-languageserver-types";
import {TextDocument} from "vscode-languageserver-textdocument";
import {validate} from "@actions/languageservice";
import {parse} from "yaml";

const PLACEHOLDER = `OWNER/evalgate`;
const UNRESOLVED = /^Unable to resolve action `actions\//;

function readable(text) {
  return text.replace(/uses: \.\/(\S*)/g, (_, folder) => `uses: ${PLACEHOLDER}${folder && "/"}${folder}@${"0".repeat(40)}`);
}

function metadataFrom(root) {
  return {
    async fetchActionMetadata({owner, name, path: folder}) {
      if (`${owner}/${name}` !== PLACEHOLDER) return undefined;
      return parse(readFileSync(path.join(root, folder ?? ".", "action.yml"), "utf-8"));
    },
  };
}

async function main([root, ...files]) {
  let found = 0;
  let unresolved = 0;
  for (const file of files) {
    const document = TextDocument.create(`file:///${file}`, "yaml", 1, readable(readFileSync(path.join(root, file), "utf-8")));
    const diagnostics = await validate(document, {actionsMetadataProvider: metadataFrom(root)});
    for (const {range, severity, message} of diagnostics) {
      if (UNRESOLVED.test(message)) {
        unresolved += 1;
        continue;
      }
      found += 1;
      const level = severity === DiagnosticSeverity.Error ? "error" : "warning";
      console.log(`${file}:${range.start.line + 1}:${range.start.character + 1}: ${level}: ${message}`);
    }
  }
  console.log(`language service: ${files.length} files, ${found} findings (and ${unresolved} uses of foreign actions, which it cannot look up)`);
  process.exitCode = found || !files.length ? 1 : 0;
}

main(process.argv.slice(2));
