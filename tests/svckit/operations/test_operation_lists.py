import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata

from svckit.errors import InvalidArgument, Unimplemented
from tests.helpers.operations import Rig


async def submit_in_turn(rig: Rig, count: int) -> list[str]:
    """Submits operations a minute apart; returns their names, newest first."""
    names: list[str] = []
    for _ in range(count):
        names.insert(0, (await rig.submit()).name)
        await rig.clock.advance(60)
    return names


async def test_a_list_has_the_newest_first(rig: Rig) -> None:
    names = await submit_in_turn(rig, 3)
    assert await rig.names() == names
    assert await rig.names(name="operations") == names


async def test_pages_hold_each_operation_once_though_new_ones_come(rig: Rig) -> None:
    names = await submit_in_turn(rig, 5)
    seen: list[str] = []
    page = await rig.page(page_size=2)
    while True:
        seen += [operation.name for operation in page.operations]
        if not page.next_page_token:
            break
        await rig.submit()
        page = await rig.page(page_size=2, page_token=page.next_page_token)
    assert seen == names


async def test_operations_of_the_same_instant_are_paged_without_loss(rig: Rig) -> None:
    names = {(await rig.submit()).name for _ in range(5)}
    first = await rig.page(page_size=3)
    second = await rig.page(page_size=3, page_token=first.next_page_token)
    assert {operation.name for page in (first, second) for operation in page.operations} == names


async def test_a_list_can_be_narrowed(rig: Rig) -> None:
    waiting, cancelled = await submit_in_turn(rig, 2)
    await rig.store.cancel(cancelled)
    other = await rig.store.submit("Other", StringValue(), OperationMetadata(target="models/n"))
    assert await rig.names(filter="state = QUEUED AND kind = Copy") == [waiting]
    assert await rig.names(filter="state = STATE_CANCELLED") == [cancelled]
    assert await rig.names(filter="done = true") == [cancelled]
    assert await rig.names(filter="done = false AND target = models/n") == [other.name]


@pytest.mark.parametrize("text", ["state = ASLEEP", "done = maybe", "owner = ada", "state > 1"])
async def test_a_filter_that_makes_no_sense_is_refused(rig: Rig, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await rig.page(filter=text)
    assert caught.value.reason_name == "FILTER_INVALID"


async def test_a_page_token_of_another_list_is_refused(rig: Rig) -> None:
    await submit_in_turn(rig, 2)
    token = (await rig.page(page_size=1)).next_page_token
    with pytest.raises(InvalidArgument) as caught:
        await rig.page(page_token=token, filter="done = false")
    assert caught.value.reason_name == "PAGE_TOKEN_INVALID"


async def test_operations_have_no_other_parent_than_their_collection(rig: Rig) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await rig.page(name="models/m")
    assert [violation.field for violation in caught.value.violations] == ["name"]


async def test_partial_success_is_not_offered(rig: Rig) -> None:
    with pytest.raises(Unimplemented):
        await rig.page(return_partial_success=True)
