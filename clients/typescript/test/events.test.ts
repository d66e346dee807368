/** The outcome events of one request gathered. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Gathering, type OutcomeEvent } from "../src/index.js";
import { recorded } from "./fakeServer.js";

const shared = recorded(200, "shareImage");
const malformed = recorded(400, "shareImage");
const [one, two] = ["ami-0123456789abcdef0", "ami-0123456789abcdef1"];

function event(number: number, image?: string, changes: object = {}, time = "2027-01-31T12:00:00Z"): OutcomeEvent {
  const images = image ? [{ ...shared.images[0], imageId: image }] : [];
  const detail = { ...shared, requestId: "one", images, ...changes };
  return { id: `${number}`, source: "ami-share", "detail-type": "AMI Share Request Completed", time, detail };
}

function check(events: (OutcomeEvent | string)[], asked: string[], expected: { complete: boolean; images: string[]; taken?: boolean[] }) {
  const gathering = new Gathering("one", asked);
  const taken = events.map((one) => gathering.add(one));
  assert.equal(gathering.isComplete, expected.complete);
  assert.deepEqual((gathering.outcome?.images ?? []).map((row) => row.imageId), expected.images);
  assert.deepEqual(taken, expected.taken ?? events.map(() => true));
  return gathering.outcome;
}

test("it is complete with an event of each image", () => {
  check([], [one, two], { complete: false, images: [] });
  check([event(1, one)], [one, two], { complete: false, images: [one] });
  check([event(1, two), event(2, one)], [one, two], { complete: true, images: [two, one] });
});

test("events of other requests and of others are left, and what comes twice counts once", () => {
  const others = [event(2, two, { requestId: "two" }), { ...event(3, two), source: "aws.ec2" }, event(1, one)];
  check([event(1, one), ...others], [one, two], { complete: false, images: [one], taken: [true, false, false, false] });
});

test("text is read", () => {
  check([JSON.stringify(event(1, one)), JSON.stringify(event(2, two))], [one, two], { complete: true, images: [one, two] });
});

test("what was accepted is complete when it is done", () => {
  const accepted = event(1, one, { result: "accepted" });
  const done = event(2, one, {}, "2027-01-31T13:00:00Z");
  check([accepted], [one], { complete: false, images: [one] });
  assert.deepEqual(check([accepted, done], [one], { complete: true, images: [one] }), done.detail);
  check([done, accepted], [one], { complete: true, images: [one], taken: [true, false] });
});

test("a request without images is one event", () => {
  check([event(1, undefined, { result: "refused", refusals: malformed.refusals })], [one, two], { complete: true, images: [] });
  check([event(1, one, { findings: [] })], [], { complete: true, images: [one] });
});

test("events may say how many there are", () => {
  check([event(1, one, { imageCount: 2 })], [], { complete: false, images: [one] });
  check([event(1, one, { imageCount: 2 }), event(2, two, { imageCount: 2 })], [], { complete: true, images: [one, two] });
  check([event(1, one)], [], { complete: false, images: [one] });
});

test("the worst result counts and what is said twice is said once", () => {
  const refusals = [{ code: "ImageNotFound", imageId: two, message: "there is no such image" }];
  const unseen = event(2, undefined, { warnings: ["late"], result: "incomplete", retryable: true, refusals });
  const outcome = check([event(1, one, { warnings: ["late"] }), unseen], [one, two], { complete: true, images: [one] });
  assert.deepEqual([outcome?.result, outcome?.retryable, outcome?.warnings, outcome?.refusals], ["incomplete", true, ["late"], refusals]);
});
