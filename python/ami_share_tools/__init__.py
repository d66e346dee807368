"""What ami-share is tried with, all of it for the checkout it is in.

local_aws     a local AWS: MiniStack, with what it lacks
demo          `make demo`, `make playground`, `make local-aws`: the template deployed there
first_hour    the deployment guide followed there, command by command
clients       `make bundle`, `make record`, `make test-clients`: the description for callers, and its clients
api_fuzz      `make api-fuzz`
differential  `make differential`: a second opinion on key verdicts
benches       `make bench`
conformance   `make conformance`: questions to AWS itself
"""
