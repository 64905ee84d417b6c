// Reads the ad learning system's settings as a service in another language does: the flag `learning`, and above it the
// user's profile. Standard input: an evaluation context in JSON on each line. Standard output: its settings on a line.
//
// FLAGD_RESOLVER, FLAGD_HOST, FLAGD_PORT and FLAGD_OFFLINE_FLAG_SOURCE_PATH say where the flags are.
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

async function settings(client, context) {
  const base = await client.getObjectDetails(FLAG, {}, context);
  if (base.errorCode) {
    throw new Error(`flag ${FLAG}: ${base.errorCode} ${base.errorMessage ?? ''}`.trim());
  }
  const profile = await client.getObjectDetails(PROFILE, {}, context);
  if (profile.errorCode && profile.errorCode !== ErrorCode.FLAG_NOT_FOUND) {
    throw new Error(`flag ${PROFILE}: ${profile.errorCode} ${profile.errorMessage ?? ''}`.trim());
  }
  return overlay(base.value, profile.value);
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
