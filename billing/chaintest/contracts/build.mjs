// Compiles the contracts here: npm ci && npm run build. What comes out is committed, so
// that the tests need no compiler. The metadata of the compiler is left out of the
// bytecode: it would change with every comment.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");
const sources = ["Token.sol", "PayStandIn.sol"];
const input = {
  language: "Solidity",
  sources: Object.fromEntries(sources.map((name) => [name, { content: readFileSync(name, "utf8") }])),
  settings: {
    evmVersion: "paris",
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
  },
};
const read = (path) => ({ contents: readFileSync(`node_modules/${path}`, "utf8") });
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
for (const error of output.errors ?? []) console.error(error.formattedMessage);
if (output.errors?.some((error) => error.severity === "error")) process.exit(1);
for (const source of sources) {
  const name = source.replace(".sol", "");
  const contract = output.contracts[source][name];
  writeFileSync(`${name}.bin`, contract.evm.bytecode.object + "\n");
  writeFileSync(`${name}.abi`, JSON.stringify(contract.abi, null, 1) + "\n");
}
