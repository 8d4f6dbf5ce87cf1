// Each dashboard of monitoring/ has the shape that Grafana's published types give a dashboard.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, "../../monitoring/grafana/provisioning/dashboards");
const names = readdirSync(folder).filter((name) => name.endsWith(".json"));

// JSON has no enums: where Grafana's types want one, its value is written.
const prelude = `import type { Dashboard } from "@grafana/schema";
type Json<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
`;

const options = {
  noEmit: true, strict: true, skipLibCheck: true,
  module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022,
};

// complaints type-checks texts of JSON, by name, and returns what the compiler says.
function complaints(texts) {
  const files = new Map(Object.entries(texts).map(([name, text]) => [
    join(here, `${name}.ts`), `${prelude}export const dashboard = (\n${text}) satisfies Json<Dashboard>;\n`,
  ]));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => files.has(file) || fileExists(file);
  host.readFile = (file) => files.get(file) ?? readFile(file);
  host.getSourceFile = (file, ...rest) =>
    files.has(file) ? ts.createSourceFile(file, files.get(file), options.target) : getSourceFile(file, ...rest);
  const program = ts.createProgram([...files.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map((found) => {
    const place = found.file ? `${found.file.fileName.slice(here.length + 1)}:${found.file.getLineAndCharacterOfPosition(found.start).line + 1}: ` : "";
    return place + ts.flattenDiagnosticMessageText(found.messageText, "\n");
  });
}

test("there are dashboards", () => assert.ok(names.length >= 2, `${folder} holds ${names}`));

test("dashboards fit Grafana's types", () => {
  const texts = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  assert.deepEqual(complaints(texts), []);
});

test("what does not fit is found", () => {
  const good = JSON.parse(readFileSync(join(folder, names[0]), "utf8"));
  const bad = structuredClone(good);
  bad.panels[0].gridPos.x = "0";
  const worse = structuredClone(good);
  worse.panels[0].fieldConfig.defaults.thresholds = { mode: "relative", steps: [] };
  const found = complaints({ good: JSON.stringify(good), bad: JSON.stringify(bad), worse: JSON.stringify(worse) });
  assert.equal(found.length, 2, found.join("\n"));
  assert.match(found[0], /^bad\.ts:/);
  assert.match(found[1], /^worse\.ts:/);
});
