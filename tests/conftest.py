"""What all tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How long a busy machine takes over an example tells nothing of what is tested.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


@pytest.fixture(scope="session", autouse=True)
def _logs_of_the_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The gateway's loggers open files, by default in the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TB_GW_LOGS_PATH", str(tmp_path_factory.mktemp("logs")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _state_of_commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands keep invocation counters in the home of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _counters_of_one_test() -> Iterator[None]:
    """A process uses no number of a key twice, in whatever folder; tests have keys in common."""
    yield
    if counters := sys.modules.get("dlms_connector.state.counters"):
        counters._numbers.clear()
        counters._heard.clear()
        counters._folders.clear()
