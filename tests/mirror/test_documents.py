"""Documents: the same rows give the same bytes, and what was written can be read back."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windsock.flag_names import shard_of
from windsock.mirror.documents import Layout, Profile, Shard, parse, render
from windsock.mirror.id_lists import IdList

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
SETTINGS = st.dictionaries(TEXT, st.one_of(st.integers(-9, 9), TEXT, st.booleans(), st.none()))


@st.composite
def shards(draw, flags):
    shard = Shard()
    users = draw(st.lists(TEXT, unique=True, max_size=20))
    for config_id in draw(st.lists(st.uuids().map(str), unique=True, max_size=4)):
        named = draw(st.lists(st.sampled_from(flags), min_size=1, unique=True))
        settings = {
            flag: json.dumps(draw(SETTINGS), ensure_ascii=False, separators=(",", ":")) for flag in named
        }
        shard.profiles[config_id] = Profile(draw(TEXT), settings)
        taken, users = users[:5], users[5:]
        if taken:
            shard.assigned[config_id] = IdList.of(taken)
    return shard


@pytest.mark.slow
@given(shards(("teacher", "ads")))
def test_reading_back_and_writing_again_gives_the_same_bytes(shard):
    layout = Layout(("teacher", "ads"), shards=3)
    document = render(layout, 1, shard)
    json.loads(document)
    again = parse(layout, 1, document)
    assert render(layout, 1, again) == document
    assert again.assigned == shard.assigned


def test_the_document_of_one_configuration():
    shard = Shard({"c1": Profile("Tuned", {"teacher": '{"k":25}'})}, {"c1": IdList.of(["u2", "u1"])})
    document = json.loads(render(Layout(("teacher",)), 0, shard))
    assert document["flags"] == {
        "teacher.profile": {
            "state": "ENABLED",
            "variants": {"none": {}, "c1": {"k": 25}},
            "defaultVariant": "none",
            "metadata": {"config.c1": "Tuned"},
            "targeting": {"if": [{"in": [{"var": "targetingKey"}, ["u1", "u2"]]}, "c1"]},
        },
        "teacher.profile.shards": {"state": "ENABLED", "variants": {"shards": 1}, "defaultVariant": "shards"},
    }


def test_without_an_assignment_there_is_no_rule():
    flag = json.loads(render(Layout(("teacher",)), 0, Shard()))["flags"]["teacher.profile"]
    assert flag["variants"] == {"none": {}}
    assert "targeting" not in flag


def test_shards_have_their_own_flags_and_files():
    layout = Layout(("teacher",), shards=12)
    assert layout.file_names[3] == "profiles.03.flagd.json"
    assert set(json.loads(render(layout, 3, Shard()))["flags"]) == {"teacher.profile.3"}
    first = json.loads(render(layout, 0, Shard()))["flags"]
    assert first["teacher.profile.shards"]["variants"] == {"shards": 12}


# The vectors of docs/mirror.md.
VECTORS = [
    ("", 10),
    ("user-1", 52),
    ("00000000-0000-0000-0000-000000000000", 52),
    ("Zoë", 44),
    ("用户", 2),
]


@pytest.mark.parametrize(("targeting_key", "shard"), VECTORS)
def test_the_shard_of_a_targeting_key(targeting_key, shard):
    assert shard_of(targeting_key, 100) == shard


def test_node_computes_the_same_shards():
    program = """
      const {createHash} = require('node:crypto');
      const shard = (key, shards) => parseInt(createHash('sha256').update(key, 'utf8').digest('hex').slice(0, 8), 16) % shards;
      console.log(JSON.stringify(JSON.parse(process.argv[1]).map(key => shard(key, 100))));
    """
    keys = [key for key, _ in VECTORS]
    try:
        done = subprocess.run(["node", "-e", program, json.dumps(keys)], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("node is not installed")
    assert json.loads(done.stdout) == [shard for _, shard in VECTORS]


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"[]", b'{"flags":[]}', b'{"flags":{"teacher.profile":{}}}'],
)
def test_a_foreign_document_is_refused(document):
    with pytest.raises(ValueError):
        parse(Layout(("teacher",)), 0, document)


HOSTILE = st.text(st.sampled_from(list(',"\\[]{}a\n\u2028é')), min_size=1, max_size=5)
IDS = st.frozensets(HOSTILE | st.uuids().map(str), max_size=8)


@given(IDS.filter(bool), IDS.filter(bool))
def test_what_is_written_can_be_read_back(some, others):
    tricky = '{"x":"{\\"in\\":[","in":[{"var":"targetingKey"},["a"]]}'
    shard = Shard(
        {"c1": Profile("One", {"teacher": tricky, "ads": "{}"}), "c2": Profile("Two", {"ads": '{"k":1}'})},
        {"c1": IdList.of(some), "c2": IdList.of(others)},
    )
    layout = Layout(("teacher", "ads"))
    document = render(layout, 0, shard)
    tallies = {"c1": (len(some), 0), "c2": (len(others), 0)}
    for read in (parse(layout, 0, document), parse(layout, 0, document, tallies)):
        assert render(layout, 0, read) == document
        assert read == shard
