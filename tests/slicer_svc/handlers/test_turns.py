"""Work that would make the same things goes one after the other."""

from __future__ import annotations

import asyncio

import pytest

from slicer_svc.handlers.turns import Turns


async def test_one_holder_of_a_key_at_a_time_and_other_keys_at_once() -> None:
    turns = Turns()
    inside: list[str] = []
    most: dict[str, int] = {}

    async def work(key: str) -> None:
        async with turns.of(key):
            inside.append(key)
            most[key] = max(most.get(key, 0), inside.count(key))
            if key == "b":
                assert "a" in inside
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside.remove(key)

    await asyncio.gather(work("a"), work("b"), work("a"), work("a"))
    assert most == {"a": 1, "b": 1}
    assert inside == []


async def test_a_turn_ends_with_whatever_its_holder_raises() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns.of("key"):
            raise ZeroDivisionError
    async with asyncio.timeout(1), turns.of("key"):
        pass
