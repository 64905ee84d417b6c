// Evaluates every flag of a document for every context with @openfeature/flagd-core.
// Standard input, one line each: {"document": {...}, "contexts": [...]}.
// Standard output, one line each: for each context an object of flag key to {variant, reason, errorCode}.
import { createInterface } from 'node:readline';
import { FlagdCore } from '@openfeature/flagd-core';

const silent = { error() {}, warn() {}, info() {}, debug() {} };

function evaluate(core, key, context) {
  try {
    const { variant, reason, errorCode } = core.resolveStringEvaluation(key, '', context, silent);
    return { variant, reason, errorCode };
  } catch (error) {
    return { errorCode: error.code ?? 'GENERAL', errorMessage: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { document, contexts } = JSON.parse(line);
  const core = new FlagdCore(undefined, silent);
  core.setConfigurations(JSON.stringify(document));
  const keys = Object.keys(document.flags);
  const results = contexts.map((context) =>
    Object.fromEntries(keys.map((key) => [key, evaluate(core, key, context)])),
  );
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
