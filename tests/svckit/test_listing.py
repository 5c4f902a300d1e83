from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st
from sliceandpack.error.v1 import error_reason_pb2 as pb
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from svckit.errors import InvalidArgument
from svckit.filters import Restriction, equals, parse_filter
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.paging import MAX_PAGE_SIZE, PageTokens, page_size

NOON = datetime(2026, 1, 1, 12)
TOKENS = PageTokens(b"k" * 32)


class Base(DeclarativeBase):
    """The tables of this test."""


class Sheep(Base):
    """A row of a list."""

    __tablename__ = "sheep"
    name: Mapped[str] = mapped_column(primary_key=True)
    colour: Mapped[str]
    create_time: Mapped[datetime]


LISTING = Listing(
    filters={"colour": equals(Sheep.colour), "name": equals(Sheep.name)},
    orders={"name": Sheep.name, "create_time": Sheep.create_time, "colour": Sheep.colour},
    default_order="create_time desc",
    key="name",
)


def encode(sheep: Sheep) -> StringValue:
    return StringValue(value=sheep.name)


@pytest.fixture
async def session() -> AsyncIterator[AsyncSession]:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as opened:
        for number in range(7):
            # Pairs share a time, so that the unique column has ties to break.
            time = NOON + timedelta(hours=number // 2)
            colour = "black" if number % 3 == 0 else "white"
            opened.add(Sheep(name=f"s{number}", colour=colour, create_time=time))
        await opened.flush()
        yield opened
    await engine.dispose()


async def names(session: AsyncSession, query: ListQuery) -> list[str]:
    """Returns the names on a page."""
    page = await fetch_page(session, select(Sheep), LISTING, query, TOKENS, encode)
    return [sheep.value for sheep in page.items]


async def all_pages(session: AsyncSession, size: int, order_by: str, filter_: str) -> list[str]:
    """Returns the names on all pages."""
    found, token = [], ""
    while True:
        query = ListQuery(size, token, filter_, order_by)
        page = await fetch_page(session, select(Sheep), LISTING, query, TOKENS, encode)
        assert len(page.items) <= size
        found += [sheep.value for sheep in page.items]
        token = page.next_page_token
        if not token:
            return found


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("", "s6 s4 s5 s2 s3 s0 s1"),
        ("create_time", "s0 s1 s2 s3 s4 s5 s6"),
        ("name desc", "s6 s5 s4 s3 s2 s1 s0"),
        ("colour, create_time desc", "s6 s3 s0 s4 s5 s2 s1"),
        ("colour desc,name desc", "s5 s4 s2 s1 s6 s3 s0"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_hold_every_row_once_and_in_order(
    session: AsyncSession, order_by: str, expected: str, size: int
) -> None:
    assert await all_pages(session, size, order_by, "") == expected.split()


@pytest.mark.parametrize(("weight", "count"), [(100, 7), (2**19, 3), (2**20, 1), (3 * 2**20, 1)])
async def test_a_page_ends_where_a_message_would_become_too_large(
    session: AsyncSession, weight: int, count: int
) -> None:
    def heavy(sheep: Sheep) -> StringValue:
        return StringValue(value=sheep.name.ljust(weight))

    found, token = [], ""
    while True:
        query = ListQuery(page_token=token, order_by="name")
        page = await fetch_page(session, select(Sheep), LISTING, query, TOKENS, heavy)
        assert 1 <= len(page.items) <= count
        found += [sheep.value.strip() for sheep in page.items]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"s{number}" for number in range(7)]


async def test_a_filter_keeps_what_equals_it_on_every_page(session: AsyncSession) -> None:
    assert await all_pages(session, 1, "name", "colour = black") == ["s0", "s3", "s6"]
    both = "colour = \"black\" AND name = 's3'"
    assert await names(session, ListQuery(filter=both)) == ["s3"]
    assert await names(session, ListQuery(filter='colour = "black\' OR 1=1 --"')) == []


async def test_a_row_that_goes_away_between_pages_hides_no_other(session: AsyncSession) -> None:
    first = ListQuery(2, order_by="name")
    page = await fetch_page(session, select(Sheep), LISTING, first, TOKENS, encode)
    await session.delete(await session.get_one(Sheep, page.items[0].value))
    await session.flush()
    second = ListQuery(2, page.next_page_token, order_by="name")
    assert await names(session, second) == ["s2", "s3"]


@pytest.mark.parametrize(
    "other",
    [
        {"filter": "colour = black"},
        {"order_by": "name desc"},
        {"parent": "meadows/m2"},
    ],
)
async def test_a_token_of_another_list_is_refused(
    session: AsyncSession, other: dict[str, str]
) -> None:
    own = {"order_by": "name", "parent": "meadows/m1"}
    page = await fetch_page(session, select(Sheep), LISTING, ListQuery(2, **own), TOKENS, encode)
    query = ListQuery(2, page.next_page_token, **{**own, **other})
    with pytest.raises(InvalidArgument) as caught:
        await fetch_page(session, select(Sheep), LISTING, query, TOKENS, encode)
    assert caught.value.reason == pb.ERROR_REASON_PAGE_TOKEN_INVALID


@pytest.mark.parametrize(
    "filter_",
    [
        "colour",
        "colour =",
        "= black",
        "colour : black",
        "colour:black",
        "colour != black",
        "colour = black AND",
        "colour = black OR colour = white",
        "NOT colour = black",
        "(colour = black)",
        'colour = "black',
        "weight = 3",
        "colour = black name = s3",
        "x" * 3_000,
    ],
)
async def test_a_filter_beyond_the_subset_is_refused_with_advice(
    session: AsyncSession, filter_: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await names(session, ListQuery(filter=filter_))
    assert caught.value.reason == pb.ERROR_REASON_FILTER_INVALID
    assert caught.value.advice.endswith(".")
    assert caught.value.metadata["filter"]


@pytest.mark.parametrize("order_by", ["weight", "name asc", "name,", "name, name desc", "name; x"])
async def test_an_order_that_is_not_offered_is_refused_with_those_that_are(
    session: AsyncSession, order_by: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await names(session, ListQuery(order_by=order_by))
    assert caught.value.reason == pb.ERROR_REASON_FILTER_INVALID
    assert "colour, create_time, name" in caught.value.advice


@given(st.text(min_size=1))
def test_any_value_can_be_written_in_quotes(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_filter(f'label="{quoted}"') == (Restriction("label", value),)


@given(st.text(max_size=60))
def test_a_filter_is_understood_or_refused_but_never_breaks_the_service(text: str) -> None:
    try:
        terms = parse_filter(text)
    except InvalidArgument as error:
        assert error.reason == pb.ERROR_REASON_FILTER_INVALID  # noqa: PT017
    else:
        assert bool(terms) == bool(text.strip())


def test_a_page_size_has_a_default_and_a_maximum_and_is_never_negative() -> None:
    assert (page_size(0), page_size(7), page_size(10**9)) == (50, 7, MAX_PAGE_SIZE)
    with pytest.raises(InvalidArgument) as caught:
        page_size(-1)
    assert caught.value.reason == pb.ERROR_REASON_FIELD_INVALID


CURSORS = st.lists(
    st.one_of(st.text(), st.integers(), st.datetimes(timezones=st.sampled_from([None, UTC])))
)


@given(st.text(), CURSORS)
def test_a_token_gives_back_the_cursor_that_it_was_made_of(
    binding: str, cursor: list[str | int | datetime]
) -> None:
    assert list(TOKENS.open(binding, TOKENS.seal(binding, cursor))) == cursor


@given(st.binary(max_size=60), st.text(max_size=60))
def test_a_forged_token_is_refused(content: bytes, text: str) -> None:
    import base64

    for token in (base64.urlsafe_b64encode(content).decode(), text):
        with pytest.raises(InvalidArgument) as caught:
            TOKENS.open("list", token)
        assert caught.value.reason == pb.ERROR_REASON_PAGE_TOKEN_INVALID


def test_the_key_of_tokens_outlives_a_restart_and_is_readable_by_its_owner_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state" / "page-tokens.key"
    token = PageTokens.from_file(path).seal("list", ["s1"])
    assert PageTokens.from_file(path).open("list", token) == ("s1",)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with pytest.raises(InvalidArgument):
        PageTokens.from_file(tmp_path / "other.key").open("list", token)
