/** The client against the template on the local AWS, whose address and credentials `make test-clients` gives. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient, isProblem, type RequestDocument } from "../src/index.js";

const { API_URL: url, IMAGE_ID: imageId } = process.env;
const skip = url && imageId ? false : "make test-clients runs it against the local AWS";

test("it shares, checks and revokes", { skip }, async () => {
  const client = createClient({ url: url! });
  const path = { imageId: imageId!, target: "111122223333" };
  const planned = await client.POST("/images/{imageId}/shares", { params: { path, query: { dryRun: true } }, body: { accountIds: [path.target] } });
  assert.equal(planned.data?.result, "planned");
  const shared = await client.POST("/images/{imageId}/shares", { params: { path }, body: { accountIds: [path.target], reason: "the TypeScript client" } });
  assert.deepEqual(shared.data?.images[0]?.targets.map((row) => [row.target, row.state]), [[path.target, "shared"]]);
  const checked = await client.GET("/images/{imageId}/shares/{target}", { params: { path } });
  assert.equal(checked.data?.images[0]?.targets[0]?.state, "shared");
  const revoked = await client.DELETE("/images/{imageId}/shares/{target}", { params: { path } });
  assert.equal(revoked.data?.images[0]?.targets[0]?.state, "revoked");
});

test("a refusal has its reasons", { skip }, async () => {
  const body: RequestDocument = { action: "share", imageIds: [imageId!], accountIds: ["777788889999"] };
  const { error } = await createClient({ url: url! }).POST("/requests", { body });
  assert.ok(isProblem(error));
  assert.deepEqual(error.refusals.map((refusal) => refusal.code), ["TargetNotAllowed"]);
});
