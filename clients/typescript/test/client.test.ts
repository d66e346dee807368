/** The client against a server on loopback that takes signed requests alone. */

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { secondsOf } from "../src/client.js";
import { createClient, isProblem, type RequestDocument, type Share } from "../src/index.js";
import { credentials, fakeServer, recorded, region, type Answer } from "./fakeServer.js";

const imageId = "ami-0123456789abcdef0";
const target = "111122223333";
const share: Share = { accountIds: [target], reason: "release 1.4" };
const shared = recorded(200, "shareImage");
const throttled = recorded(503, "listShares");

async function against(context: TestContext, answers: Answer[], secret = "secret") {
  const { url, asked } = await fakeServer(context, ...answers);
  const waits: number[] = [];
  const sleep = async (seconds: number) => void waits.push(seconds);
  const client = createClient({ url, region, credentials: { ...credentials, secretAccessKey: secret }, sleep });
  return { client, asked, waits, call: () => client.POST("/images/{imageId}/shares", { params: { path: { imageId } }, body: share }) };
}

test("each operation is the request that the API describes", async (context) => {
  const { client, asked } = await against(context, [{ status: 200, document: shared }]);
  const path = { imageId, target };
  const request: RequestDocument = { action: "list", imageIds: [imageId] };
  const answers = [
    await client.POST("/images/{imageId}/shares", { params: { path, query: { dryRun: true } }, body: share }),
    await client.GET("/images/{imageId}/shares", { params: { path } }),
    await client.GET("/images/{imageId}/shares/{target}", { params: { path } }),
    await client.DELETE("/images/{imageId}/shares/{target}", { params: { path, query: { dryRun: false } } }),
    await client.POST("/requests", { body: request }),
  ];
  assert.deepEqual(answers.map(({ data }) => data), Array(5).fill(shared));
  assert.deepEqual(asked, [
    { method: "POST", path: `/v1/images/${imageId}/shares?dryRun=true`, body: share },
    { method: "GET", path: `/v1/images/${imageId}/shares`, body: null },
    { method: "GET", path: `/v1/images/${imageId}/shares/${target}`, body: null },
    { method: "DELETE", path: `/v1/images/${imageId}/shares/${target}?dryRun=false`, body: null },
    { method: "POST", path: "/v1/requests", body: request },
  ]);
});

test("what a path holds stays one segment", async (context) => {
  const { client, asked } = await against(context, [{ status: 200, document: shared }]);
  await client.GET("/images/{imageId}/shares/{target}", { params: { path: { imageId: "ami-1/../x", target: "a b?c=é" } } });
  assert.equal(asked[0]?.path, "/v1/images/ami-1%2F..%2Fx/shares/a%20b%3Fc%3D%C3%A9");
});

test("another secret is refused", async (context) => {
  const { call } = await against(context, [{ status: 200, document: shared }], "wrong");
  const { response, error } = await call();
  assert.deepEqual([response.status, isProblem(error)], [403, false]);
});

test("a field that does not exist does not compile", () => {
  // TypeScript refuses an expectation that is not met: were the misspelt field taken, this would not compile.
  // @ts-expect-error
  const wrong: Share = { acountIds: [target] };
  // @ts-expect-error
  const other: RequestDocument = { action: "list", imageId };
  assert.ok(wrong && other);
});

test("a refusal is answered at once with its reasons", async (context) => {
  const malformed = recorded(400, "shareImage");
  const { call, waits } = await against(context, [{ status: 400, document: malformed }]);
  const { error } = await call();
  assert.ok(isProblem(error));
  assert.deepEqual(error.refusals, malformed.refusals);
  assert.deepEqual(waits, []);
});

test("what may pass is sent again after the seconds that the answer says", async (context) => {
  const { call, waits, asked } = await against(context, [
    { status: 503, document: throttled, headers: { "Retry-After": "7" } },
    { status: 429, document: recorded(429), headers: { "Retry-After": "2" } },
    { status: 409, document: { ...recorded(409, "shareImage"), retryable: true }, headers: { "Retry-After": "10" } },
    { status: 200, document: shared },
  ]);
  assert.deepEqual((await call()).data, shared);
  assert.deepEqual([waits, asked.length], [[7, 2, 10], 4]);
  assert.deepEqual(asked.map(({ body }) => body), Array(4).fill(share));
});

test("without a time it waits longer each time and then gives up", async (context) => {
  const { call, waits } = await against(context, [{ status: 503, document: throttled }]);
  assert.equal((await call()).response.status, 503);
  assert.equal(waits.length, 3);
  waits.forEach((wait, place) => assert.ok(wait >= 0.1 && wait <= 2 ** (place + 1), `${wait}`));
});

test("what is not worth another try is answered at once", async (context) => {
  for (const answer of [
    { status: 503, document: throttled, headers: { "Retry-After": "3600" } },
    { status: 403, document: { message: "Forbidden" } },
    { status: 302, document: {}, headers: { Location: "http://127.0.0.1:9/" } },
    { status: 502, document: { ...recorded(502, "listShares"), retryable: false } },
  ]) {
    const { call, waits, asked } = await against(context, [answer]);
    assert.equal((await call()).response.status, answer.status);
    assert.deepEqual([waits, asked.length], [[], 1], `${answer.status}`);
  }
});

test("what something else answers is tried again by its status", async (context) => {
  const { call, waits } = await against(context, [{ status: 502, document: "<html>Bad Gateway</html>" }, { status: 200, document: shared }]);
  assert.deepEqual((await call()).data, shared);
  assert.equal(waits.length, 1);
});

test("a broken connection is tried again", async (context) => {
  const { call, waits } = await against(context, [null, { status: 200, document: shared }]);
  assert.deepEqual((await call()).data, shared);
  assert.equal(waits.length, 1);
  const broken = await against(context, [null]);
  await assert.rejects(broken.call(), TypeError);
  assert.equal(broken.waits.length, 3);
});

test("Retry-After is seconds or a date", (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: Date.parse("Sun, 06 Nov 1994 08:49:37 GMT") });
  for (const [value, expected] of [
    ["3", 3], ["0", 0], ["Sun, 06 Nov 1994 08:49:47 GMT", 10], ["Sun, 06 Nov 1994 08:49:27 GMT", 0],
    ["soon", undefined], ["-1", undefined], [null, undefined],
  ] as const) {
    assert.equal(secondsOf(value), expected, `${value}`);
  }
});

test("the Region is that of the address or of the environment, else it is named as missing", () => {
  delete process.env.AWS_REGION;
  delete process.env.AWS_DEFAULT_REGION;
  createClient({ url: "https://api123.execute-api.eu-west-1.amazonaws.com/v1" });
  assert.throws(() => createClient({ url: "https://shares.example.com" }), /AWS_REGION/);
});
