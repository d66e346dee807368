"""A local AWS for tests and the demo: MiniStack, with what ami-share's path through EC2 and KMS needs added.

Reading order: `__main__` (start, ready, stop) → `server` (what is put together) → `control` (seeding, list of calls) →
`images`, `copies`, `snapshots`, `keys`, `access`, `functions` and the others beside them (the additions, each naming the AWS
page it follows) → `client` and `deploy` (start it, and deploy the template there, from Python).
"""
