"""History is read by so many lines at once, and by none while it cannot be kept."""

from __future__ import annotations

from dlms_connector.fleet.brake import Brake


def test_so_many_at_once() -> None:
    brake = Brake(at_once=2)
    brake.begin(0)
    brake.begin(0)
    assert not brake.lets(0)
    assert brake.again(0) > 0
    brake.end()
    assert brake.lets(0)


def test_a_refusal_pauses_all_for_longer_each_time_until_one_is_kept() -> None:
    brake = Brake()
    waits, now = [], 0.0
    for number in range(8):
        assert brake.lets(now)
        brake.begin(now)
        brake.end()
        assert brake.refused(now) is (number == 0), "told once"
        assert not brake.lets(now)
        waits.append(brake.again(now) - now)
        now = brake.again(now)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
    assert brake.kept()
    assert not brake.kept()
    assert brake.lets(now)


def test_slices_read_before_a_refusal_do_not_lengthen_the_pause() -> None:
    brake = Brake()
    brake.begin(0)
    brake.begin(0)
    assert brake.refused(1)
    assert not brake.refused(2)
    assert brake.again(2) == 11


def test_after_a_pause_one_slice_tries_for_all() -> None:
    brake = Brake()
    brake.begin(0)
    brake.refused(0)
    assert brake.lets(10)
    brake.begin(10, brings=False)
    assert brake.lets(10)
    brake.begin(10)
    assert not brake.lets(11)
    assert brake.lets(80), "no word of it"
