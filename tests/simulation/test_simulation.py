"""Whole days of the connector under virtual time, with faults of everything around it.

Each simulation runs in a process of its own, whose threads, clocks and chance are not Python's. A
seed that fails is run again by `make simulate SEED=…`, which does exactly the same.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.places import ROOT

_FIRST, _SEEDS, _PARTS = 1, 100, 4
_LONGEST_S = 1200


def simulate(*arguments: str, module: str = "tests.simulation", hash_seed: str = "random") -> str:
    """Return what a simulation said; it fails if a rule was broken."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert not done.returncode, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_day_of_each_of_a_hundred_seeds(part: int) -> None:
    count = _SEEDS // _PARTS
    said = simulate("--seed", str(_FIRST + part * count), "--seeds", str(count))
    assert said.count(": ok") == count


def test_a_day_of_a_random_seed() -> None:
    print(simulate())


def test_a_seed_gives_the_same_run_in_another_process() -> None:
    first, second = (
        simulate("--seed", "11", "--days", "0.3", "--meters", "4", hash_seed=seed)
        for seed in ("1", "2")
    )
    assert "digest" in first
    assert first.partition(" starts")[0] == second.partition(" starts")[0]


def test_faults_of_the_connector_are_caught() -> None:
    said = simulate(module="tests.simulation.mutations")
    assert "MISSED" not in said
