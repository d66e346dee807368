"""The client against the template on the local AWS, whose address and credentials `make test-clients` gives."""

from __future__ import annotations

import os
import unittest

from ami_share_client import ApiError, Client

URL = os.environ.get("API_URL", "")


@unittest.skipUnless(URL and "IMAGE_ID" in os.environ, "make test-clients runs it against the local AWS")
class LocalApi(unittest.TestCase):
    def test_it_shares_checks_and_revokes(self) -> None:
        client, image, account = Client(URL), os.environ["IMAGE_ID"], "111122223333"
        self.addCleanup(client.close)
        self.assertEqual(client.share_image(image, {"accountIds": [account]}, dry_run=True)["result"], "planned")
        shared = client.share_image(image, {"accountIds": [account], "reason": "the Python client"})
        self.assertEqual([(row["target"], row["state"]) for row in shared["images"][0]["targets"]], [(account, "shared")])
        self.assertEqual(client.check_share(image, account)["images"][0]["targets"][0]["state"], "shared")
        self.assertIn("permissions", client.list_shares(image)["images"][0])
        self.assertEqual(client.revoke_share(image, account)["images"][0]["targets"][0]["state"], "revoked")

    def test_a_refusal_is_raised(self) -> None:
        client = Client(URL)
        self.addCleanup(client.close)
        with self.assertRaises(ApiError) as raised:
            client.send_request({"action": "share", "imageIds": [os.environ["IMAGE_ID"]], "accountIds": ["777788889999"]})
        self.assertEqual([refusal["code"] for refusal in raised.exception.refusals], ["TargetNotAllowed"])


if __name__ == "__main__":
    unittest.main()
