// The variables that override the flag, as in Python: an empty one is unset, and a value that does not fit is left out
// with a warning. `variables.json` and `defaults.json` are made of the settings class (`python -m examples.ad_learning.node_variables`).
import { readFileSync } from 'node:fs';

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url)));
const VARIABLES = read('variables.json');

/** What the settings class has where the flag says nothing: a variant may hold only what it changes. */
export const DEFAULTS = read('defaults.json');

const BOOLEANS = { true: true, 1: true, yes: true, on: true, t: true, y: true, false: false, 0: false, no: false, off: false, f: false, n: false };

function parsed(text, type) {
  if (type === 'boolean') {
    return BOOLEANS[text.toLowerCase()];
  }
  const pattern = type === 'integer' ? /^[+-]?\d+(\.0*)?$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  return pattern.test(text) ? Number(text) : undefined;
}

function fits(value, { minimum = -Infinity, maximum = Infinity, exclusiveMinimum, exclusiveMaximum }) {
  return (
    value >= minimum &&
    value <= maximum &&
    (exclusiveMinimum === undefined || value > exclusiveMinimum) &&
    (exclusiveMaximum === undefined || value < exclusiveMaximum)
  );
}

function valueOf(names, schema, environment) {
  for (const name of names) {
    const text = (environment[name] ?? '').trim();
    if (text !== '') {
      const value = parsed(text, schema.type);
      if (value !== undefined && fits(Number(value), schema)) {
        return value;
      }
      console.error(`${name}=${JSON.stringify(text)} does not fit ${JSON.stringify(schema)}; it does not count`);
      return undefined; // a weaker name does not count either, as in Python
    }
  }
  return undefined;
}

/** Gives what the environment says, in the shape of the settings. */
export function overrides(environment) {
  const found = {};
  for (const { path, names, schema } of VARIABLES) {
    const value = valueOf(names, schema, environment);
    if (value !== undefined) {
      path.slice(0, -1).reduce((at, key) => (at[key] ??= {}), found)[path.at(-1)] = value;
    }
  }
  return found;
}
