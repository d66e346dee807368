"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# What finds this package: the value of PYTHONPATH.
PYTHON = ROOT / "python"
ALLOWLIST = ROOT / "demo/allowlist.yaml"
CLIENTS = ROOT / "clients"
EXAMPLES = CLIENTS / "examples.json"
CASES = ROOT / "crates/key-policy/tests/data/key-policy-cases.json"
