"""Where the repository keeps what tests look into."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GATEWAY_CONFIG = ROOT / "gateway-config"
CASES = ROOT / "tests" / "cases"
