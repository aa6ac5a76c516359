from __future__ import annotations

import copy
import pickle

from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey

from dlms_converters.hashed_key import HashedKey
from dlms_converters.report_strategy import ON_RECEIVED


def test_it_is_the_gateways_key() -> None:
    ours, theirs = HashedKey("k", ON_RECEIVED), DatapointKey("k", ON_RECEIVED)
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert {ours: 1}[theirs] == {theirs: 1}[ours] == 1
    assert ours != HashedKey("other", ON_RECEIVED)
    assert ours != HashedKey("k")
    assert ours != "k"


def test_copies_hash_anew() -> None:
    ours = HashedKey("k", ON_RECEIVED)
    for made in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert made == ours
        assert type(made) is DatapointKey
