// Reads the ad learning system's settings as a service in another language does: the flag `learning`, and above it the
// user's profile, which the mirror may have spread over shards. Standard input: an evaluation context in JSON on each line. Standard output: its settings on a line.
//
// FLAGD_RESOLVER, FLAGD_HOST, FLAGD_PORT and FLAGD_OFFLINE_FLAG_SOURCE_PATH say where the flags are.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { FlagdProvider } from '@openfeature/flagd-provider';
import { ErrorCode, OpenFeature } from '@openfeature/server-sdk';

const FLAG = 'learning';
const PROFILE = `${FLAG}.profile`;

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

async function settings(client, context) {
  const base = valueOf(await client.getObjectDetails(FLAG, {}, context));
  const key = await profileKey(client, context.targetingKey);
  return overlay(base, valueOf(await client.getObjectDetails(key, {}, context), ErrorCode.FLAG_NOT_FOUND));
}

try {
  await OpenFeature.setProviderAndWait(new FlagdProvider());
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
