"""`windsock experiment`: from data in a folder or a database to a table, a report and a decision."""

import json
from datetime import timedelta

import pytest
from tests.experiments import engines
from tests.experiments.data import GOOD, START
from tests.experiments.test_decision import many

NOW = f"{START + timedelta(days=30):%Y-%m-%dT%H:%MZ}"


@pytest.fixture
def declared(tmp_path, windsock):
    folder = tmp_path / "flagd" / "experiments"
    folder.mkdir(parents=True)
    text = GOOD.replace("  secondary: [revenue]\n", "").replace(", margin: 50%", "").replace("5000", "900")
    (folder / "cheaper_model.yaml").write_text(text)
    rows = many(1000, costs={"control": 0.02, "cheaper": 0.015})
    (tmp_path / "data").mkdir()
    with engines.parquet(rows, tmp_path / "data"):
        pass
    return rows


def test_status_is_a_table_of_80_columns(declared, windsock) -> None:
    done = windsock("experiment", "status", "cheaper_model", "--data", "data", "--at", NOW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("WIN: Cost per request is better in cheaper")
    assert "cost per request" in done.stdout
    assert "100 units exposed after the declared maximum." in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_status_needs_no_flag_files(declared, windsock, tmp_path) -> None:
    whole = windsock("experiment", "status", "cheaper_model", "--data", "data", "--at", NOW)
    (tmp_path / "flagd" / "other.flagd.json").write_text('{"flags": {')
    done = windsock("experiment", "status", "cheaper_model", "--data", "data", "--at", NOW)
    assert (done.returncode, done.stderr) == (0, "")
    ended = "cheaper_model doesn't run now. To run it again, give its document a new version. "
    text = " ".join(whole.stdout.split())
    assert ended in text
    assert " ".join(done.stdout.split()) == text.replace(ended, "")


def test_json_holds_the_decision_and_its_snapshot(declared, windsock, tmp_path) -> None:
    done = windsock("experiment", "status", "cheaper_model", "--data", "data", "--at", NOW, "--json")
    read = json.loads(done.stdout)
    assert (read["state"], read["action"], read["arm"]) == ("win", "ship", "cheaper")
    assert read["comparisons"][0]["relative_interval"][1] < 0
    (tmp_path / "snapshot.json").write_text(json.dumps(read["snapshot"]))
    again = windsock("experiment", "decide", "cheaper_model", "--replay", "snapshot.json")
    assert again.stdout.splitlines()[0] == "Ship cheaper of cheaper_model: win"


def test_status_of_a_version_that_ended_without_a_unit_asks_for_a_new_one(
    declared, windsock, tmp_path
) -> None:
    others = many(10, costs={"control": 0.02, "cheaper": 0.015})
    for exposure in others.exposures:
        exposure["experiment"] = "another"
    (tmp_path / "others").mkdir()
    with engines.parquet(others, tmp_path / "others"):
        pass
    status = ("experiment", "status", "cheaper_model", "--data", "others", "--at", NOW)
    assert "doesn't run yet: `windsock experiment start" in windsock(*status).stdout.replace("\n", " ")
    for verb in ("start", "stop"):
        assert windsock("experiment", verb, "cheaper_model").returncode == 0
    assert "give its document a new version." in windsock(*status).stdout.replace("\n", " ")


def test_decide_writes_a_commit_message_and_a_snapshot(declared, windsock) -> None:
    options = ("--data", "data", "--at", NOW, "--snapshot", "made.json")
    done = windsock("experiment", "decide", "cheaper_model", *options)
    assert done.stdout.startswith("Ship cheaper of cheaper_model: win\n\n")
    assert "- Error rate" in done.stdout
    again = windsock("experiment", "decide", "cheaper_model", "--replay", "made.json")
    assert again.stdout == done.stdout


def test_a_decision_is_applied_when_asked_for(declared, windsock, tmp_path) -> None:
    asked = ("experiment", "decide", "cheaper_model", "--data", "data", "--at", NOW)
    assert windsock("experiment", "start", "cheaper_model").returncode == 0
    running = (tmp_path / "flagd" / "teacher.experiment.flagd.json").read_bytes()
    assert windsock(*asked).returncode == 0
    assert (tmp_path / "flagd" / "teacher.experiment.flagd.json").read_bytes() == running
    done = windsock(*asked, "--apply")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ship cheaper of cheaper_model: win\n\n")
    assert "wrote flagd/teacher.flagd.json" in done.stdout
    assert "small" in (tmp_path / "flagd" / "teacher.flagd.json").read_text()
    assert windsock("lint").returncode == 0
    assert windsock(*asked, "--apply").returncode != 0  # it doesn't run any more
    ended = "cheaper_model doesn't run now. To run it again, give its document a new version."
    again = windsock("experiment", "status", "cheaper_model", "--data", "data", "--at", NOW)
    assert ended in " ".join(again.stdout.split())


def test_a_time_that_has_not_come_is_a_preview_and_decides_nothing(declared, windsock, tmp_path) -> None:
    later = ("cheaper_model", "--data", "data", "--at", "2999-01-01T00:00Z")
    shown = windsock("experiment", "status", *later)
    assert shown.stdout.startswith("PREVIEW: 2999-01-01 00:00 UTC has not come")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    refused = windsock("experiment", "decide", *later, "--snapshot", "made.json")
    assert refused.returncode != 0
    assert "2999-01-01 00:00 UTC has not come" in refused.stderr
    assert not (tmp_path / "made.json").exists()
    snapshot = json.loads(windsock("experiment", "status", *later, "--json").stdout)["snapshot"]
    (tmp_path / "preview.json").write_text(json.dumps(snapshot))
    assert windsock("experiment", "decide", "cheaper_model", "--replay", "preview.json").returncode != 0


@pytest.mark.parametrize("linked", ["made", "made/rc"])
def test_nothing_that_an_option_names_is_written_through_a_link(
    declared, windsock, tmp_path, tmp_path_factory, linked
) -> None:
    away = tmp_path_factory.mktemp("away")
    (away / "rc").write_text("mine\n")
    (tmp_path / "made").symlink_to(away / "rc" if linked == "made" else away)
    seen = ("cheaper_model", "--data", "data", "--at", NOW)
    refused = [
        windsock("experiment", "start", "cheaper_model", "--out", linked),
        windsock("experiment", "decide", *seen, "--snapshot", linked),
        windsock("experiment", "report", *seen, "--out", linked),
    ]
    assert windsock("experiment", "start", "cheaper_model").returncode == 0
    refused.append(windsock("experiment", "stop", "cheaper_model", "--out", linked))
    assert {(done.returncode, done.stderr) for done in refused} == {
        (4, "windsock: made: it is a link; name its target\n")
    }
    assert (away / "rc").read_text() == "mine\n"
    assert len(list(away.iterdir())) == 1


def test_report_is_written(declared, windsock, tmp_path) -> None:
    done = windsock("experiment", "report", "cheaper_model", "--data", "data", "--at", NOW, "--looks", "3")
    assert done.stdout.endswith("wrote report.html\n")
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Over time</h2>" in page
    assert "SELECT" in page


def test_power_is_reported_for_each_way_of_looking(declared, windsock) -> None:
    stated = ("--mean", "0.01", "--deviation", "0.02", "--per-day", "500")
    done = windsock("experiment", "power", "cheaper_model", *stated)
    assert "any time up to a maximum   53,111    113" in done.stdout
    at = f"{START + timedelta(days=4):%Y-%m-%d}"
    past = windsock("experiment", "power", "cheaper_model", "--data", "data", "--at", at, "--json")
    units = {design["name"]: design["units"] for design in json.loads(past.stdout)["designs"]}
    assert units["one look at the end"] < units["any time up to a maximum"] < units["no maximum"]


def test_power_tells_what_every_metric_finds_by_the_end(declared, windsock, tmp_path) -> None:
    document = tmp_path / "flagd" / "experiments" / "cheaper_model.yaml"
    at = f"{START + timedelta(days=4):%Y-%m-%d}"
    asked = ("experiment", "power", "cheaper_model", "--data", "data", "--at", at)
    others = json.loads(windsock(*asked, "--json").stdout)["others"]
    assert [(each["metric"], each["role"]) for each in others][:2] == [
        ("error_rate", "guardrail"), ("failing_units", "guardrail"),
    ]  # fmt: skip
    assert all(each["relative"] > 0 for each in others[:2])
    document.write_text(document.read_text().replace("{units: 900}", "{duration: 10d}"))
    longer = json.loads(windsock(*asked, "--json").stdout)
    units, finds, reached = longer["maximum"]
    assert units == round(10 * longer["units_per_day"])
    document.write_text(document.read_text().replace("{duration: 10d}", f"{{units: {units}}}"))
    assert json.loads(windsock(*asked, "--json").stdout)["maximum"] == [
        units, pytest.approx(finds), pytest.approx(reached)
    ]  # fmt: skip
    shown = windsock(*asked).stdout
    assert f"With the declared maximum, {units:,} units, four of five experiments find " in shown
    assert "the other metrics find" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_database_is_read_as_it_is(declared, windsock, database, tmp_path) -> None:
    declared_folder = tmp_path / "flagd"
    with engines.postgres(declared, database):
        pass
    done = windsock("experiment", "decide", "cheaper_model", "--at", NOW, "--record", DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ship cheaper of cheaper_model: win")
    import psycopg

    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select experiment, version, decision, collected -> 'exposed' -> 'counted' ->> 'control'"
            " from windsock.analysis_snapshots"
        ).fetchall()
    assert [each[:3] for each in row] == [("cheaper_model", 1, "win")]
    assert int(row[0][3]) > 400
    document = next((declared_folder / "experiments").glob("*.yaml"))
    document.write_text(document.read_text().replace("minimum_effect: 5%", "minimum_effect: 4%"))
    again = windsock("experiment", "decide", "cheaper_model", "--record", DATABASE_URL=database)
    assert again.returncode != 0
    assert "the minimum effect was 0.05 and is 0.04" in again.stderr
    assert "change it back, or declare version 2 with a reason" in again.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "other", "--data", "data"), "no such experiment; there is 'cheaper_model'"),
        (("status", "cheaper_model", "--data", "nowhere"), "the folder of the data isn't there"),
        (("status", "cheaper_model", "--data", "flagd"), "flagd: has no .parquet or .csv file"),
        (("status", "cheaper_model", "--data", "data", "--at", "soon"), "'soon' is not a time; write it as"),
        (("power", "cheaper_model", "--mean", "1"), "--mean and --deviation go together"),
        (("power", "cheaper_model", "--data", "data", "--at", "2020-01-01"), "0 units had a row in the last 7 days"),
        (("power", "cheaper_model", "--data", "data", "--at", "2020-01-01"), "(--mean and --deviation)"),
        (("report", "cheaper_model", "--data", "nowhere", "--out", "no/r.html"), "there is no folder no"),
        (("decide", "cheaper_model", "--replay", "nothing.json"), "nothing.json: cannot be read"),
        (("status", "cheaper_model", "--data", "postgresql://127.0.0.1:9/x"), "the database does not answer"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_message(declared, windsock, arguments, message) -> None:
    done = windsock("experiment", *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["status", "report", "decide", "power"])
def test_a_misspelt_name_starts_no_database(declared, windsock, tmp_path, verb) -> None:
    done = windsock("experiment", verb, "other", DATABASE_URL="")
    assert (done.returncode, "no such experiment" in done.stderr) == (4, True)
    assert not (tmp_path / ".windsock").exists()


@pytest.mark.parametrize(("options", "title"), [((), "Experiment"), (("--metrics",), "Metrics")])
def test_schema_is_printed_for_editors(windsock, options, title) -> None:
    assert json.loads(windsock("experiment", "schema", *options).stdout)["title"] == title


def test_help_lists_the_commands_without_loading_them(windsock) -> None:
    done = windsock("experiment", "--help")
    for name in ("power", "status", "report", "decide"):
        assert f"  {name} " in done.stdout
