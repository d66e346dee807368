/** Owns the request: its signature and its repetition. */

import { Sha256 } from "@aws-crypto/sha256-js";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { SignatureV4 } from "@smithy/signature-v4";
import createFetchClient, { type Client as FetchClient } from "openapi-fetch";

import type { paths } from "./schema.js";

/** The API's paths with their methods: `client.POST("/images/{imageId}/shares", {…})` answers `{data, error, response}`. */
export type Client = FetchClient<paths>;

export interface Settings {
  /** The stack's output `ApiUrl`. */
  url: string;
  /** The Region; without it that of the address, or of `AWS_REGION`. */
  region?: string;
  /** Credentials or what provides them; without it they are looked for as the AWS SDKs do. */
  credentials?: ConstructorParameters<typeof SignatureV4>[0]["credentials"];
  /** How long an answer may take; API Gateway gives up after 29 seconds. */
  timeoutMilliseconds?: number;
  /** How often a request is sent in all, where what is in its way may pass. */
  attempts?: number;
  /** How to wait, for tests. */
  sleep?: (seconds: number) => Promise<void>;
}

const LONGEST_WAIT_SECONDS = 60;
/** Statuses that pass, where the answer itself doesn't say whether it is worth another try. */
const PASSING = new Set([429, 500, 502, 503, 504]);

/**
 * A client of the API at an address. The same request again is safe, so what may pass is sent again: after the seconds
 * that `Retry-After` says, else after a random time that grows.
 */
export function createClient(settings: Settings): Client {
  const { url, attempts = 4, timeoutMilliseconds = 35_000 } = settings;
  const sleep = settings.sleep ?? ((seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
  const signer = new SignatureV4({
    credentials: settings.credentials ?? defaultProvider(),
    region: settings.region ?? regionOf(url),
    service: "execute-api",
    sha256: Sha256,
  });

  async function send(request: Request, body: string | undefined): Promise<Response> {
    const url = new URL(request.url);
    const type = request.headers.get("content-type");
    const signed = await signer.sign({
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries([...new Set(url.searchParams.keys())].map((name) => [name, url.searchParams.getAll(name)])),
      headers: { host: url.host, accept: "application/json", ...(body !== undefined && type ? { "content-type": type } : {}) },
      body,
    });
    const { host: _, ...headers } = signed.headers;
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMilliseconds)]);
    return fetch(url, { method: request.method, headers, ...(body === undefined ? {} : { body }), redirect: "manual", signal });
  }

  async function sendUntilAnswered(request: Request): Promise<Response> {
    const body = request.body ? await request.text() : undefined;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= attempts;
      let wait = backoff(attempt);
      try {
        const answer = await send(request, body);
        const again = !answer.ok && !isLast && (await mayPass(answer.clone()));
        wait = secondsOf(answer.headers.get("retry-after")) ?? wait;
        if (!again || wait > LONGEST_WAIT_SECONDS) {
          return answer;
        }
        await answer.body?.cancel();
      } catch (error) {
        // No answer says nothing about what was done; the same request finds out.
        if (isLast || request.signal.aborted || !isOfTheNetwork(error)) {
          throw error;
        }
      }
      await sleep(wait);
    }
  }

  return createFetchClient<paths>({ baseUrl: url.replace(/\/+$/, ""), fetch: sendUntilAnswered });
}

/** The Region that the address or the environment names. */
function regionOf(url: string): string {
  const region = /\.execute-api\.([a-z0-9-]+)\./.exec(new URL(url).host)?.[1] ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION;
  if (!region) {
    throw new Error("the Region is in neither the address nor AWS_REGION: give it as region");
  }
  return region;
}

/** Whether sending the same request again may help: the answer says so, or its status where it says nothing. */
async function mayPass(answer: Response): Promise<boolean> {
  try {
    const document: unknown = await answer.json();
    if (typeof document === "object" && document !== null && "retryable" in document) {
      return document.retryable === true;
    }
  } catch {
    // Not JSON: not the function, nor its API Gateway.
  }
  return PASSING.has(answer.status);
}

/** What `fetch` throws where there is no answer: a TypeError, or the timeout's own. */
function isOfTheNetwork(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");
}

/** What a Retry-After says, as seconds or as a date (RFC 9110, section 10.2.3). */
export function secondsOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) {
    return undefined;
  }
  if (/^[0-9]+$/.test(retryAfter)) {
    return Number(retryAfter);
  }
  const date = /^[A-Z][a-z]{2}, /.test(retryAfter) ? Date.parse(retryAfter) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/** A random time that grows with each attempt, so that callers who failed together don't come back together. */
function backoff(attempt: number): number {
  return 0.1 + Math.random() * (Math.min(20, 2 ** attempt) - 0.1);
}
