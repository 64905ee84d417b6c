"""Lists of user ids as text: moving ids by search and by rewriting gives the same bytes."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windsock.mirror.id_lists import IdList

PLAIN = st.text(st.sampled_from(list("abc {}[]é\U0001f642")), min_size=1, max_size=4)
HOSTILE = st.text(st.sampled_from(list(',"\\[]{}a\n\u2028é')), min_size=1, max_size=5)
CROWD = frozenset(f"{number:04}" for number in range(2000))


def hashes(user_ids):
    return {user_id: crc32(user_id.encode()) for user_id in user_ids}


def checksum(user_ids):
    return sum(hashes(user_ids).values())


def check(before, gone, arrived):
    moved = IdList(IdList.of(before).text, len(before), checksum(before)).moved(
        hashes(gone | arrived), arrived
    )
    assert moved.checksum == checksum((before - gone) | arrived)
    assert moved == IdList.of((before - gone) | arrived)
    assert moved.ids() == sorted((before - gone) | arrived)


@given(*[st.frozensets(PLAIN | HOSTILE, max_size=8)] * 3)
def test_few_ids_are_rewritten(before, gone, arrived):
    check(before, gone, arrived)


@given(*[st.frozensets(PLAIN | st.sampled_from(sorted(CROWD)), max_size=15)] * 3)
def test_some_of_many_ids_are_searched(before, gone, arrived):
    assert IdList.of(CROWD | before)._edited(hashes(gone | arrived), arrived) is not None
    check(CROWD | before, gone, arrived)


@pytest.mark.slow
@given(*[st.frozensets(HOSTILE, max_size=15)] * 3)
def test_some_of_many_ids_that_cannot_be_searched_are_rewritten(before, gone, arrived):
    check(CROWD | before, gone, arrived)


@pytest.mark.parametrize("comma", [",", "a,", ",a", "a,b", '","', '"'])
def test_an_id_with_a_comma_or_a_quote_is_never_taken_apart(comma):
    crowd = frozenset(comma + str(number) for number in range(1000)) | {comma}
    check(crowd, frozenset({comma}), frozenset({"a", "b"}))
    check(CROWD, frozenset(), frozenset({comma}))


def test_the_last_id_leaves_an_empty_list():
    assert IdList.of({"a"}).moved({"a": 1}, ()) == IdList("", 0)
    assert IdList("", 0).moved({"a": 1}, {"a"}) == IdList.of({"a"})


@pytest.mark.parametrize("text", ["1", '"a",{}', '"a"]'])
def test_what_is_not_a_list_of_strings_is_refused(text):
    with pytest.raises(ValueError):
        IdList.read(text)
