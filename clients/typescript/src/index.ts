/** A client of ami-share: requests signed with Signature Version 4, and the outcome events of a request gathered. */

export { createClient, type Client, type Settings } from "./client.js";
export { Gathering, type OutcomeEvent } from "./events.js";
export type { components, paths } from "./schema.js";

import type { components } from "./schema.js";

export type Outcome = components["schemas"]["Outcome"];
export type Problem = components["schemas"]["Problem"];
export type RequestDocument = components["schemas"]["RequestDocument"];
export type Share = components["schemas"]["Share"];

/** Whether an error is a problem of the function or of its API Gateway, which has the outcome's fields; else something on the way answered. */
export function isProblem(error: unknown): error is Problem {
  return typeof error === "object" && error !== null && "result" in error && "refusals" in error;
}
