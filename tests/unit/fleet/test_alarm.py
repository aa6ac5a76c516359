"""A ring wakes who waits, and is kept for who comes later."""

import asyncio

from dlms_connector.fleet.alarm import Alarm
from tests.support import fake_time


def test_rings() -> None:
    async def body() -> None:
        alarm = Alarm()
        waiting = alarm.wait()
        assert not waiting.done()
        alarm.ring()
        alarm.ring()
        await waiting
        await alarm.wait()  # it has rung, and nobody has cleared it
        alarm.clear()
        given_up = alarm.wait()
        given_up.cancel()
        await asyncio.sleep(0)
        alarm.ring()
        await alarm.wait()

    fake_time.run(body())
