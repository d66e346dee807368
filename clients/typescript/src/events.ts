/** Owns the outcome events of one request: gathers them into one outcome. */

import type { components } from "./schema.js";

type Outcome = components["schemas"]["Outcome"];

/** An event on the outcome bus: one for each image of a request, or one in all where there is no image. */
export interface OutcomeEvent {
  id: string;
  source: string;
  "detail-type": string;
  time: string;
  detail: Outcome;
}

/** The results, from the best to the worst: of a request whose images differ, the worst counts. */
const BEST_TO_WORST: readonly string[] = ["completed", "planned", "accepted", "refused", "failed", "incomplete"];

/**
 * The outcome events of one request, in whatever order and however often they come. The ID that PutEvents answers, as
 * `EventId`, is the `requestId`. It is complete once there is an event for each image, and none of them is `accepted`.
 * Without `imageIds` it knows the number of images only from the events: a request that is one event, or `imageCount`.
 */
export class Gathering {
  readonly #events = new Map<string | null, OutcomeEvent>();
  readonly #seen = new Set<string>();
  readonly #imageIds: ReadonlySet<string>;

  constructor(
    readonly requestId: string,
    imageIds: Iterable<string> = [],
  ) {
    this.#imageIds = new Set(imageIds);
  }

  /** Take an event, as an object or as text; false where it is none of this request or tells nothing newer. */
  add(event: OutcomeEvent | string): boolean {
    const taken: OutcomeEvent = typeof event === "string" ? JSON.parse(event) : event;
    if (taken.source !== "ami-share" || taken.detail.requestId !== this.requestId || this.#seen.has(taken.id)) {
      return false;
    }
    this.#seen.add(taken.id);
    const image = imageOf(taken.detail);
    const known = this.#events.get(image);
    // What was accepted is reported again when it is done; the later event counts.
    if (known && known.time > taken.time) {
      return false;
    }
    this.#events.set(image, taken);
    return true;
  }

  get isComplete(): boolean {
    const details = this.#details();
    if (details.some((detail) => (detail.result as string) === "accepted")) {
      return false;
    }
    if (this.#events.has(null)) {
      return true;
    }
    if (this.#imageIds.size > 0) {
      return [...this.#imageIds].every((image) => this.#events.has(image));
    }
    const count = Math.max(0, ...details.map((detail) => ("imageCount" in detail ? Number(detail.imageCount) : 0)));
    return count > 0 && count <= details.length;
  }

  /** What is known so far, as one document; undefined before the first event. */
  get outcome(): Outcome | undefined {
    const details = this.#details();
    const [first] = details;
    if (!first) {
      return undefined;
    }
    const worst = details.reduce((a, b) => (badness(b) > badness(a) ? b : a));
    return {
      ...first,
      result: worst.result,
      retryable: details.some((detail) => detail.retryable),
      images: details.flatMap((detail) => detail.images),
      refusals: distinct(details.flatMap((detail) => detail.refusals)),
      errors: distinct(details.flatMap((detail) => detail.errors)),
      warnings: distinct(details.flatMap((detail) => detail.warnings)),
    };
  }

  #details(): Outcome[] {
    return [...this.#events.values()].map((event) => event.detail);
  }
}

/** The image that an event is about; null where the event is about the whole request. */
function imageOf(outcome: Outcome): string | null {
  if (outcome.findings || outcome.images.length > 1) {
    return null;
  }
  return outcome.images[0]?.imageId ?? outcome.refusals.find((refusal) => refusal.imageId)?.imageId ?? null;
}

function badness(outcome: Outcome): number {
  const place = BEST_TO_WORST.indexOf(outcome.result);
  return place < 0 ? BEST_TO_WORST.length : place;
}

/** What several events say alike, once. */
function distinct<T>(items: T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}
