"""Owns the simulation of bursts: so many events at once, EC2's request buckets, and a function that tries again as ours does.

It knows documented rates and no AWS. One event asks to share one image by one write.
"""

import heapq
import random
from dataclasses import dataclass, field

# <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
READ, WRITE = (100, 20), (100, 5)
WAVES = (("DescribeImages", READ), ("DescribeImageAttribute", READ), ("ModifyImageAttribute", WRITE))
CALL_SECONDS = 0.1

# As src/aws/ask.rs: pauses of a throttled call, and its attempts.
FIRST_PAUSE, LONGEST_PAUSE, ATTEMPTS = 0.4, 4.0, 20
# An invocation's time without its margins, and Lambda's two retries of an event:
# <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
INVOCATION_SECONDS = 55.0
RETRIES = (60.0, 120.0)


@dataclass
class Bucket:
    """A request bucket."""

    size: float
    refill: float
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.size

    def takes(self, now: float) -> bool:
        self.tokens = min(self.size, self.tokens + (now - self.at) * self.refill)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True)
class Burst:
    """How events arrive: so many at once, worked off by so many invocations at a time."""

    events: int
    concurrency: int
    longest_age: float = 900.0
    writes_a_second: float = WRITE[1]
    # Whether an event that failed waits in a queue, however often; otherwise Lambda tries it twice more.
    is_queue: bool = False


@dataclass
class End:
    """How a burst ends."""

    shared: int = 0
    stale: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(order=True)
class Turn:
    """An event's next call, or the end of its last one."""

    at: float
    order: int
    began: float = field(compare=False)
    wave: int = field(compare=False, default=0)
    attempts: int = field(compare=False, default=0)
    tries: int = field(compare=False, default=0)


def simulate(burst: Burst, seed: int = 1) -> End:
    """What becomes of the events of a burst."""
    chance, end = random.Random(seed), End()
    buckets = {name: Bucket(*rate) for name, rate in WAVES}
    buckets["ModifyImageAttribute"].refill = burst.writes_a_second
    waiting = [(0.0, order, 0) for order in range(burst.events)]
    running: list[Turn] = []
    now = 0.0
    while waiting or running:
        while waiting and len(running) < burst.concurrency and (not running or waiting[0][0] <= running[0].at):
            due, order, tries = heapq.heappop(waiting)
            begin = max(due, now)
            if begin > burst.longest_age:
                end.stale, end.seconds = end.stale + 1, max(end.seconds, begin)
                continue
            heapq.heappush(running, Turn(begin, order, begin, tries=tries))
        if not running:
            continue
        turn = heapq.heappop(running)
        now = turn.at
        if turn.wave == len(WAVES):
            end.shared, end.seconds = end.shared + 1, max(end.seconds, now)
            continue
        name, _ = WAVES[turn.wave]
        if buckets[name].takes(now):
            turn.wave, turn.attempts, turn.at = turn.wave + 1, 0, now + CALL_SECONDS
        else:
            pause = min(FIRST_PAUSE * 2**turn.attempts, LONGEST_PAUSE) * (0.5 + chance.random() / 2)
            turn.attempts, turn.at = turn.attempts + 1, now + CALL_SECONDS + pause
            if turn.attempts >= ATTEMPTS or turn.at - turn.began > INVOCATION_SECONDS:
                if burst.is_queue or turn.tries < len(RETRIES):
                    after = 0.0 if burst.is_queue else RETRIES[turn.tries]
                    heapq.heappush(waiting, (now + after, turn.order, turn.tries + 1))
                else:
                    end.failed, end.seconds = end.failed + 1, max(end.seconds, now)
                continue
        heapq.heappush(running, turn)
    return end
