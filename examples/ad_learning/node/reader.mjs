// Reads the ad learning system's settings as a service in another language does: the code defaults, above them the flag
// `learning`, this process's variables, the arm of an experiment, and the user's profile, which the mirror may have spread
// over shards. A campaign is asked for as a user is: by the targeting key, with its account as the attribute account_id.
// Standard input: an evaluation context in JSON on each line. Standard output: its settings, each on a line.
//
// FLAGD_RESOLVER (rpc, in-process or file), FLAGD_HOST, FLAGD_PORT and FLAGD_OFFLINE_FLAG_SOURCE_PATH say where the
// flags are, ENVIRONMENT which variant counts where a context names none.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { FlagdProvider } from '@openfeature/flagd-provider';
import { ErrorCode, OpenFeature } from '@openfeature/server-sdk';
import { DEFAULTS, overrides } from './variables.mjs';

const FLAG = 'learning';
const PROFILE = `${FLAG}.profile`;
const ENVIRONMENT = (process.env.ENVIRONMENT ?? '').trim() || 'production';

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function overlay(below, above) {
  const merged = { ...below };
  for (const [key, value] of Object.entries(above)) {
    merged[key] = isObject(value) && isObject(merged[key]) ? overlay(merged[key], value) : value;
  }
  return merged;
}

function valueOf({ flagKey, value, errorCode, errorMessage }, tolerated) {
  if (errorCode && errorCode !== tolerated) {
    throw new Error(`flag ${flagKey}: ${errorCode} ${errorMessage ?? ''}`.trim());
  }
  return value;
}

async function profileKey(client, user) {
  const shards = valueOf(await client.getNumberDetails(`${PROFILE}.shards`, 1), ErrorCode.FLAG_NOT_FOUND);
  if (shards === 1 || user === undefined) {
    return PROFILE;
  }
  return `${PROFILE}.${createHash('sha256').update(user).digest().readUInt32BE() % shards}`;
}

// The provider has no resolver `file`: its in-process resolver reads one, which windsock names by its folder.
function provider() {
  if ((process.env.FLAGD_RESOLVER ?? '').trim().toLowerCase() !== 'file') {
    return new FlagdProvider();
  }
  const path = process.env.FLAGD_OFFLINE_FLAG_SOURCE_PATH || 'flagd';
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory();
  const offlineFlagSourcePath = folder ? join(path, `${FLAG}.flagd.json`) : path;
  return new FlagdProvider({ resolverType: 'in-process', offlineFlagSourcePath });
}

// A profile that sets a field of any arm takes its user out of the experiment; the flag's metadata names those fields.
function isExcluded({ flagMetadata }, arm, profile) {
  const fields = flagMetadata?.fields?.split(' ') ?? Object.keys(arm);
  return fields.some((field) => Object.hasOwn(profile, field));
}

async function settings(client, given) {
  const context = { environment: ENVIRONMENT, ...given };
  const flag = valueOf(await client.getObjectDetails(FLAG, {}, context));
  const base = overlay(overlay(DEFAULTS, flag), overrides(process.env));
  const experiment = await client.getObjectDetails(`${FLAG}.experiment`, {}, context);
  const arm = valueOf(experiment, ErrorCode.FLAG_NOT_FOUND);
  const key = await profileKey(client, context.targetingKey);
  const profile = valueOf(await client.getObjectDetails(key, {}, context), ErrorCode.FLAG_NOT_FOUND);
  return overlay(isExcluded(experiment, arm, profile) ? base : overlay(base, arm), profile);
}

try {
  await OpenFeature.setProviderAndWait(provider());
  const client = OpenFeature.getClient();
  for await (const line of createInterface({ input: process.stdin })) {
    const { safe_executor, winner_detection } = await settings(client, JSON.parse(line));
    process.stdout.write(`${JSON.stringify({ safe_executor, winner_detection })}\n`);
  }
} catch (error) {
  console.error(`${error.message}; look at FLAGD_RESOLVER, FLAGD_HOST, FLAGD_PORT, FLAGD_OFFLINE_FLAG_SOURCE_PATH`);
  process.exit(1); // a provider that cannot connect goes on trying, also when it is closed
}
await OpenFeature.close();
