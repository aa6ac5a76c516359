"""Where it is knocked, in which order."""

from __future__ import annotations

from dlms_connector.discovery import candidates
from dlms_connector.discovery.candidates import Candidate, Server, Wanted


def hdlc(**known: object) -> list[Candidate]:
    return list(candidates.hdlc(Wanted(**known)))  # type: ignore[arg-type]


def test_the_public_client_comes_first_and_alone() -> None:
    everything = hdlc()
    clients = [one.client for one in everything]
    assert clients[0] == candidates.PUBLIC_CLIENT
    assert clients.index(1) == clients.count(16)
    assert set(candidates.CLIENTS) == set(clients)


def test_no_address_is_tried_twice_and_the_list_is_bounded() -> None:
    everything = hdlc(preset="microstar", serial_number=12345678)
    addresses = [(one.client, one.octets) for one in everything]
    assert len(set(addresses)) == len(addresses)
    assert len(hdlc()) <= 70
    assert len(list(candidates.wrapper(Wanted()))) <= 25


def test_addresses_have_forms_of_one_two_and_four_octets_and_broadcasts() -> None:
    octets = [one.octets for one in hdlc()]
    assert {len(each) for each in octets} == {1, 2, 4}
    for usual in ("0203", "03", "ff", "02ff", "0002feff", "0221", "0223", "21"):
        assert bytes.fromhex(usual) in octets


def test_the_first_round_is_short_and_part_of_the_whole() -> None:
    quick = list(candidates.hdlc(Wanted(), quick=True))
    assert len(quick) < 10
    assert set(quick) <= set(hdlc())


def test_what_the_user_knows_is_all_that_is_tried() -> None:
    found = hdlc(clients=(32,), servers=(Server(1, 17, 2),))
    assert found == [Candidate("HDLC", 32, Server(1, 17, 2))]
    sizes = [len(one.octets) for one in hdlc(clients=(32,), servers=(Server(1, 17),))]
    assert sizes == [2, 4]
    both = hdlc(clients=(32, 48), servers=(Server(1, 17, 2),))
    assert [one.client for one in both] == [32, 48]


def test_a_preset_comes_first_but_the_public_client_still_asks() -> None:
    first = hdlc(preset="kamstrup-omnipower")
    assert first[0].client == 16
    assert (first[0].server.logical, first[0].server.physical) == (0, 16)
    assert 19 in [one.client for one in list(candidates.hdlc(Wanted(preset="kamstrup-omnipower"),
                                                             quick=True))]  # fmt: skip


def test_a_serial_number_makes_addresses_by_the_formula_of_the_preset() -> None:
    usual = hdlc(serial_number=55551234)[0].server
    assert (usual.logical, usual.physical) == (1, 1234)
    landis = hdlc(serial_number=55551234, preset="landisgyr-e650")[0].server
    assert (landis.logical, landis.physical) == (1, 2234)
    zeros = [one.server for one in hdlc(serial_number=55551234)]
    assert any(server.logical == 0 and server.physical == 1234 for server in zeros)


def test_wrapper_ports_begin_with_the_management_device() -> None:
    first = next(candidates.wrapper(Wanted()))
    assert (first.client, first.server.logical) == (16, 1)
    own = list(candidates.wrapper(Wanted(clients=(1,), servers=(Server(0, 5),))))
    assert [(one.client, one.server.logical) for one in own] == [(1, 5)]


def test_candidates_are_spoken_of_in_words() -> None:
    assert str(Candidate("HDLC", 16, Server(1, 17, 4))) == "client 16, server 1/17 in 4 octets"
    assert str(Candidate("HDLC", 16, Server(0, 1, 1))) == "client 16, server 0/1 in 1 octet"
    assert str(Candidate("WRAPPER", 1, Server(1))) == "client 1, server wPort 1"
