/** A client that openapi-typescript and openapi-fetch make of the bundle, with a signature: asks who has access to an image. */

import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import createClient, { type Middleware } from "openapi-fetch";

import type { components, paths } from "./out/schema.js";

const { API_URL, AWS_REGION, IMAGE_ID, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;

const signer = new SignatureV4({
  credentials: { accessKeyId: AWS_ACCESS_KEY_ID!, secretAccessKey: AWS_SECRET_ACCESS_KEY!, sessionToken: AWS_SESSION_TOKEN! },
  region: AWS_REGION!,
  service: "execute-api",
  sha256: Sha256,
});

const signature: Middleware = {
  async onRequest({ request }) {
    const url = new URL(request.url);
    const type = request.headers.get("content-type");
    const body = await request.clone().text();
    const signed = await signer.sign({
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { host: url.host, ...(type && { "content-type": type }) },
      body,
    });
    return new Request(request, { headers: signed.headers });
  },
};

const client = createClient<paths>({ baseUrl: API_URL! });
client.use(signature);

const { data, error } = await client.POST("/requests", { body: { action: "list", imageIds: [IMAGE_ID!] } });
const refused = await client.POST("/images/{imageId}/shares", {
  params: { path: { imageId: IMAGE_ID! } },
  body: { accountIds: ["777788889999"] },
});
console.log(data?.result ?? error, data?.images[0]?.permissions?.launch);
if (data?.result !== "completed" || !refused.error || !("refusals" in refused.error)) {
  process.exit(1);
}
console.log(refused.error.refusals.map((refusal) => refusal.code));

// A misspelt field does not compile: TypeScript refuses an expectation that is not met.
// @ts-expect-error
const wrong: components["schemas"]["RequestDocument"] = { action: "list", imageId: IMAGE_ID! };
void wrong;
