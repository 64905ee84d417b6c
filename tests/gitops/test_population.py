"""Populations from real files, read by DuckDB."""

import json

import duckdb
import pytest
from tests.processor import at_most

from windsock.errors import ConfigurationError, UnreachableError
from windsock.flags import merge, read_document
from windsock.gitops.population import assigned, from_file, synthetic
from windsock.gitops.population import population as named


def users(population):
    return [dict(context) for batch in population.batches() for context in batch]


@pytest.mark.slow
def test_a_csv_keeps_ids_as_text_and_types_its_attributes(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("user_id,age,tier\n007,5,pro\n8,,free\n")
    assert users(from_file(path, "staging")) == [
        {"targetingKey": "007", "age": 5, "tier": "pro", "environment": "staging"},
        {"targetingKey": "8", "tier": "free", "environment": "staging"},
    ]


def test_jsonl_and_parquet(tmp_path):
    path = tmp_path / "users.jsonl"
    path.write_text(
        json.dumps({"uid": "ü'1", "environment": "development", "company": {"plan": "pro"}}) + "\n"
    )
    expected = [{"targetingKey": "ü'1", "environment": "development", "company": {"plan": "pro"}}]
    assert users(from_file(path, "production", "uid")) == expected
    parquet = tmp_path / "users.parquet"
    duckdb.sql(f"copy (select * from read_json('{path}')) to '{parquet}' (format parquet)")
    assert users(from_file(parquet, "production", "uid")) == expected


def test_a_folder_with_an_equals_sign_gives_no_user_an_id(tmp_path):
    (tmp_path / "id=7").mkdir()
    path = tmp_path / "id=7" / "users.csv"
    path.write_text("id\nada\n")
    assert users(from_file(path, "production")) == [{"targetingKey": "ada", "environment": "production"}]


def test_a_path_that_duckdb_takes_for_a_pattern_names_no_other_files_users(tmp_path):
    (tmp_path / "users[1].csv").write_text("id\nada\n")
    (tmp_path / "users1.csv").write_text("id\nbob\n")
    with pytest.raises(ConfigurationError, match="pattern; rename it"):
        from_file(tmp_path / "users[1].csv", "production")


def test_ids_that_are_numbers_in_the_file_are_text(tmp_path):
    path = tmp_path / "users.jsonl"
    path.write_text('{"id": 7, "age": 8}\n')
    assert users(from_file(path, "production")) == [
        {"targetingKey": "7", "age": 8, "environment": "production"}
    ]


def test_more_than_one_batch_in_the_files_order(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("id\n" + "\n".join(f"u{number}" for number in range(25_000)))
    population = from_file(path, "production")
    assert [context["targetingKey"] for context in users(population)] == [
        f"u{number}" for number in range(25_000)
    ]
    assert len(users(population)) == 25_000, "it can be read again"


@pytest.mark.slow
def test_fewer_users_of_a_wide_file_are_held_at_once(tmp_path):
    path = tmp_path / "users.csv"
    names = [f"c{number}" for number in range(1_000)]
    lines = (",".join([str(user), *["1"] * 1_000]) for user in range(2_500))
    path.write_text("\n".join([",".join(["id", *names]), *lines]))
    batches = [len(batch) for batch in from_file(path, "production").batches()]
    assert max(batches) < 1_000
    read = users(from_file(path, "production"))
    assert [each["targetingKey"] for each in read] == [str(user) for user in range(2_500)]


def test_brackets_in_text_nest_nothing(tmp_path):
    path = tmp_path / "users.jsonl"
    path.write_text(
        '{"id": "a", "x": "' + '\\"[{' * 200 + '"}\n' + '{"id": "b", "x": [' + "[1]," * 200 + "[1]]}\n"
    )
    assert [each["targetingKey"] for each in users(from_file(path, "production"))] == ["a", "b"]


def test_a_file_that_ends_within_an_escape_is_refused_at_once(tmp_path):
    path = tmp_path / "users.jsonl"
    path.write_text('{"id": "a", "x": "' + '\\"[' * 60_000 + "\\")
    with at_most(10), pytest.raises(UnreachableError, match=r"users\.jsonl"):
        users(from_file(path, "production"))


@pytest.mark.parametrize(
    ("name", "content", "key", "refusal"),
    [
        ("users.txt", "x", None, (ConfigurationError, "a population is a file in .csv")),
        (
            "users.csv",
            "name\nx\n",
            None,
            (ConfigurationError, "no column with the targeting key; it has name"),
        ),
        ("users.csv", "name\nx\n", "nme", (ConfigurationError, "no column nme")),
        ("users.jsonl", "{broken", None, (UnreachableError, "cannot be read as a population")),
        ("users.parquet", "PAR?", None, (UnreachableError, "cannot be read as a population")),
    ],
)
def test_what_is_not_a_population(tmp_path, name, content, key, refusal):
    error, words = refusal
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(error, match=words):
        users(from_file(path, "production", key))


def test_the_mirrors_assignments():
    rule = {
        "if": [
            {"in": [{"var": "targetingKey"}, ["b", "a"]]},
            "x",
            {"in": [{"var": "targetingKey"}, ["c"]]},
            "y",
        ]
    }
    flag = {
        "state": "ENABLED",
        "variants": {"none": {}, "x": {}, "y": {}},
        "defaultVariant": "none",
        "targeting": rule,
    }
    document = json.dumps({"flags": {"teacher.profile": flag, "other": flag}}).encode()
    population = assigned(merge([read_document(document, "p")]), "production")
    assert [context["targetingKey"] for context in users(population)] == ["a", "b", "c"]
    assert population.description == "3 users with a profile, in production"


def test_without_a_mirror_s_folder_there_is_a_next_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(UnreachableError, match=r"there is no flagd/mirror; `windsock mirror once` writes it"),
        named("mirror", "production", None, lambda url: pytest.fail(f"opened {url}")),
    ):
        pass


def test_made_up_users_say_so():
    population = synthetic(10_001, "production")
    assert [len(batch) for batch in population.batches()] == [10_000, 1]
    assert "made-up" in population.description
