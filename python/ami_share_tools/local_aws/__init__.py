"""A local AWS for tests and the demo: MiniStack, with what ami-share's path through EC2 and KMS needs added.

Reading order: `__main__` (start, ready, stop) → `server` (what is put together) → `control` (seeding, list of calls) →
`images`, `copies`, `snapshots`, `keys`, `access`, `functions` and the others beside them (the additions, each naming the AWS
page it follows) →
`adapter` (the only file that knows MiniStack) → `client`, `deploy` and `identities` (start it, deploy the template there,
and make roles, from Python).
"""
