"""The simulation of bursts against what arithmetic says where nothing but one limit counts."""

import unittest

from ami_share_tools.benches.scale import CALL_SECONDS, WAVES, Burst, simulate


class Bursts(unittest.TestCase):
    def test_without_throttling_an_invocation_makes_its_calls_one_after_the_other(self) -> None:
        end = simulate(Burst(100, concurrency=1, longest_age=3_600, writes_a_second=1_000))
        self.assertEqual((end.shared, end.stale, end.failed), (100, 0, 0))
        self.assertAlmostEqual(end.seconds, 100 * len(WAVES) * CALL_SECONDS, places=3)

    def test_two_invocations_take_half_as_long(self) -> None:
        end = simulate(Burst(100, concurrency=2, longest_age=3_600, writes_a_second=1_000))
        self.assertAlmostEqual(end.seconds, 50 * len(WAVES) * CALL_SECONDS, places=3)

    def test_the_bucket_of_writes_bounds_what_many_do(self) -> None:
        end = simulate(Burst(1_100, concurrency=5, longest_age=3_600))
        self.assertEqual(end.shared, 1_100)
        self.assertGreaterEqual(end.seconds, (1_100 - 100) / 5)
        self.assertLess(end.seconds, 1.1 * (1_100 - 100) / 5)

    def test_an_event_is_stale_only_when_its_invocation_begins_too_late(self) -> None:
        end = simulate(Burst(10, concurrency=1, longest_age=1.0, writes_a_second=1_000))
        self.assertEqual((end.shared, end.stale, end.failed), (4, 6, 0))


if __name__ == "__main__":
    unittest.main()
