"""Every command over hostile files: it ends by itself, soon, within bounds, with lines and never a traceback."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import WINDSOCK, boolean

SECONDS = 10
MEGABYTES = 1024


def document(**flags: object) -> bytes:
    return json.dumps({"flags": flags}).encode()


def rule(targeting: object) -> bytes:
    return document(f=boolean(targeting))


def nested(levels: int) -> bytes:
    return b'{"flags": {"f": ' + b'{"a": ' * levels + b"1" + b"}" * levels + b"}}"


RULES = {f"e{each}": {"and": [{"$ref": f"e{each + 1}"}]} for each in range(5_000)}
DOUBLED = {f"e{each}": {"and": [{"$ref": f"e{each + 1}"}] * 2} for each in range(60)} | {"e60": True}
FLAG_FILES = {
    "nested 100,000 deep": nested(100_000),
    "an open bracket 100,000 times": b"[" * 100_000,
    "a rule 5,000 deep": b'{"flags": {"f": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": '
    + b'{"!": ' * 5_000 + b"1" + b"}" * 5_000 + b"}}}",
    "a value 900 deep": document(f=boolean(), g=boolean() | {"variants": {"on": 7}}).replace(b"7", b"[" * 900 + b"]" * 900),
    "5,000 references in a row": json.dumps(
        {"flags": {"f": boolean({"if": [{"$ref": "e0"}, "on"]})}, "$evaluators": RULES}
    ).encode(),
    "references that double 60 times": json.dumps(
        {"flags": {"f": boolean({"if": [{"$ref": "e0"}, "on"]})}, "$evaluators": DOUBLED}
    ).encode(),
    "names that act on a terminal": document(**{"\x1b[2J\x1b]0;x\x07\u202e\n": boolean()}),
    "halves of surrogate pairs": b'{"flags": {"\\ud800": {"state": "ENABLED", "variants": {"\\udfff": "\\ud800"}}}}',
    "a number of 100,000 digits": document(f={"variants": {"a": 1}}).replace(b"1", b"1" * 100_000),
    "an exponent": document(f={"variants": {"a": 1}}).replace(b"1", b"1e999999999"),
    "utf-16": document(f=boolean()).decode().encode("utf-16"),
    "latin-1": document(f=boolean()).replace(b'"on"', b'"\xff"'),
    "null bytes": b"\0" * 1_000,
    "keys twice": b'{"flags": {' + b'"f": {},' * 20_000 + b'"f": {}}}',
    "a bucket with 20,000 arms": rule({"fractional": [[f"v{each}", 1] for each in range(20_000)]}),
    "nothing": b"",
}  # fmt: skip
YAML_FILES = {
    "a bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        f"{chr(98 + each)}: &{chr(98 + each)} [{','.join([f'*{chr(97 + each)}'] * 9)}]\n".encode()
        for each in range(9)
    ),
    "a cycle": b"flags: &x {f: *x}\n",
    "nested 5,000 deep": b"[" * 5_000,
    "nested mappings": b"{a: " * 5_000,
    "code": b"flags: !!python/object/apply:os.system ['touch pwned']\n",
    "surrogates": b'flags: {"\\ud800": 1}\n',
    "dates": b"flags: {f: 2026-99-99}\n",
}
COMMANDS = [
    ("lint", "--fix"), ("fmt",), ("plan", "--users", "10", "--format", "markdown"), ("eval", "f", "--explain"),
    ("stale", "--code", "code.py"), ("rollout", "f"), ("apply", "plan.json"),
]  # fmt: skip


def checked(folder: Path, command: tuple[str, ...], patience: float = 120) -> str:
    """What one command says; the system ends it beyond its bounds of processor time and memory."""
    bounds = f"ulimit -t {SECONDS} -d {MEGABYTES * 1024}"
    process = subprocess.Popen(
        ["bash", "-c", f'{bounds}; exec "$@"', "bash", WINDSOCK, *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail(f"{command} has not ended")
    said = out.decode(errors="replace") + err.decode(errors="replace")
    assert process.returncode in (0, 1, 2, 3, 4), (command, process.returncode, said[-500:])
    assert "Traceback" not in said, (command, said[-500:])
    assert all(line.isprintable() for line in said.replace("\t", " ").split("\n")), command
    assert not (folder / "pwned").exists()
    return said


@pytest.fixture
def folder(tmp_path, git):
    (tmp_path / "code.py").write_text("import windsock\nclass Teacher(windsock.Settings):\n    k: int = 3\n")
    (tmp_path / "flagd").mkdir()
    git("commit", "-q", "--allow-empty", "-m", "one")
    return tmp_path


@pytest.mark.parametrize("name", FLAG_FILES)
def test_json(folder, git, name):
    path = folder / "flagd" / "a.flagd.json"
    for command in COMMANDS:
        path.write_bytes(FLAG_FILES[name])
        (folder / "plan.json").write_bytes(FLAG_FILES[name])
        checked(folder, command)


LONG = "misspelt" + "x" * 120_000
LONG_NAMES = {
    "a key of the document": json.dumps({LONG: 1, "flags": {"f": boolean()}}).encode(),
    "a flag's key": document(f=boolean(), **{LONG: boolean() | {"state": "X"}}),
    "a variant's name": document(f=boolean() | {"variants": {LONG: 1, "on": "x"}, "defaultVariant": LONG}),
    "a bucketing": json.dumps({"metadata": {"bucketing": LONG}, "flags": {"f": boolean()}}).encode(),
    "a shared rule": rule({"if": [{"$ref": LONG}, "off", "on"]}),
    "7,000 mistakes": document(f=boolean(), **{f"g{each}": boolean() | {"state": "X"} for each in range(7_000)}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG_NAMES)
def test_what_is_wrong_is_told_in_a_few_lines_that_a_person_can_read(folder, name):
    (folder / "flagd" / "a.flagd.json").write_bytes(LONG_NAMES[name])
    commands = [
        ("eval", "f", "--explain"),
        ("check", "code:Teacher"),
        ("lint",),
        ("lint", "--format", "github"),
    ]
    for command in commands[: 2 if "mistakes" in name else 4]:  # a linter lists each mistake
        said = checked(folder, command)
        assert len(said) < 30_000, (command, len(said))


@pytest.mark.parametrize("name", YAML_FILES)
def test_yaml(folder, name):
    (folder / "flagd" / "a.flagd.yaml").write_bytes(YAML_FILES[name])
    (folder / "c.yaml").write_bytes(YAML_FILES[name])
    for command in (("lint",), ("plan", "--users", "10"), ("eval", "f"), ("import", "c.yaml")):
        checked(folder, command)


@pytest.mark.parametrize("target", ["/dev/zero", ".", "a.flagd.json"])
def test_links_to_what_is_not_a_file(folder, target):
    (folder / "flagd" / "a.flagd.json").symlink_to(target)
    (folder / "b.py").symlink_to(target)
    for command in (
        ("lint",), ("fmt",), ("plan",), ("eval", "f"), ("lint", "flagd/a.flagd.json"), ("import", "flagd/a.flagd.json"),
        ("apply", "flagd/a.flagd.json"), ("refs", "--code", "b.py"), ("plan", "--users", "flagd/a.flagd.json"),
    ):  # fmt: skip
        checked(folder, command)


PIPED = {
    "flagd/a.flagd.json": [("lint",), ("fmt",), ("plan",), ("diff",), ("eval", "f"), ("stale",), ("init",), ("rollout", "f")],
    "flagd/metrics.yaml": [("experiment", "check"), ("experiment", "list")],
    "flagd/holdouts.yaml": [("experiment", "check")],
    "flagd/experiments/e.yaml": [("experiment", "check"), ("experiment", "check", "e"), ("experiment", "power", "e", "--data", ".")],
    "plan.json": [("apply", "plan.json")],
    "c.yaml": [("import", "c.yaml")],
    "users.csv": [("plan", "--users", "users.csv")],
    "exposures.parquet": [("experiment", "report", "e", "--data", ".")],
    "result.json": [("experiment", "decide", "--replay", "result.json")],
    "pyproject.toml": [("lint",), ("check",)],
    "code2.py": [("refs",), ("stale",), ("refs", "--code", "code2.py"), ("doctor",)],
    ".windsock/quarantine.json": [("quarantine", "list")],
}  # fmt: skip
"""Whatever a command reads, by what reads it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PIPED)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder, name, write):
    if name != "flagd/a.flagd.json":
        write({"f": boolean()})
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.startswith(".windsock"):
        path.parent.chmod(0o700)
    os.mkfifo(path)
    for command in PIPED[name]:
        checked(folder, command, patience=30)


def in_folders(depth: int) -> Callable[[Path], None]:
    """Make a file of Python in folders inside each other, deeper than Python's stack."""

    def make(folder: Path) -> None:
        with contextlib.chdir(folder):
            for _ in range(depth):
                Path("d").mkdir()
                os.chdir("d")
            Path("deep.py").write_text("import windsock\nnew = windsock.feature('new')\n")

    return make


TREES: dict[str, Callable[[Path], None]] = {
    "folders in folders": in_folders(1_500),
    "beyond the longest path": in_folders(3_000),
    "a name that is not UTF-8": lambda folder: (folder / os.fsdecode(b"\xff\x1b[2J\n.py")).write_text("x = 1"),
    "other encodings": lambda folder: [
        (folder / f"{number}.py").write_bytes(content)
        for number, content in enumerate(
            (
                "# coding: utf-7\nx = 1".encode("utf-7"), "x = 'é'".encode("utf-16"), b"# coding: rot13\nk = 1", b"# coding: hex\n61",
                b"# coding: unicode_escape\n'\\ud800'", b"\0" * 1000, b"# coding: \xff\n", b"# coding: undefined\nx = 1",
            )
        )
    ],
    "a megabyte of lines": lambda folder: (folder / "long.py").write_text("import windsock\n" + "a = b.c\n" * 130_000),
    "ten times as much as one search parses": lambda folder: [
        (folder / f"m{number}.py").write_text("import windsock\nfrom code import Teacher\n" + "x = Teacher.for_user('é').k\n" * 20_000)
        for number in range(10)
    ],
    "more than one search reads": lambda folder: [
        (folder / f"m{number}.py").write_text("x = " + ",".join(f"a{number}_{each}" for each in range(100_000)))
        for number in range(60)
    ],
    "long chains": lambda folder: (folder / "long.py").write_text("from windsock import b\n" + ("b" + ".c" * 94 + "\n") * 5_000),
    "a megabyte in one line": lambda folder: (folder / "wide.py").write_text("x = [" + "windsock(a.b)," * 74_000 + "]"),
    "a megabyte that has nothing to do with flags": lambda folder: (folder / "long.py").write_text("a = b.c\n" * 130_000),
    "links in a circle": lambda folder: [(folder / "one").symlink_to("two"), (folder / "two").symlink_to("one"), (folder / "all.py").symlink_to("."), (folder / "here").symlink_to(".")],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TREES)
def test_trees_of_python(folder, name, write):
    write({"f": boolean()})
    TREES[name](folder)
    try:
        for command in (("refs",), ("stale",), ("refs", "--json")):
            checked(folder, command)
    finally:  # pytest removes old folders by recursion, which ends at Python's stack
        subprocess.run(["rm", "-rf", str(folder / "d")], check=True)


def test_a_link_out_of_the_folder_is_not_searched(folder, windsock, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.py"
    elsewhere.write_text("import windsock\nhidden = windsock.feature('hunter2')\nx = 'hunter2'\n(")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.py").symlink_to(elsewhere)
    for command in ("refs", "stale"):
        done = windsock(command, *(["--flags", "none.flagd.json"] if command == "stale" else []))
        assert "hunter2" not in done.stdout + done.stderr
    done = windsock("refs")
    assert done.stderr.splitlines()[0] == "windsock: not scanned: sub/b.py: this link leads out of the folder"
    elsewhere.write_text("import windsock\nhidden = windsock.feature('hunter2')\n")
    assert "hunter2" in windsock("refs", "--code", "sub/b.py").stdout, "a person named it"


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 5_000 + ")" * 5_000,
        "match x:\n case " + "[" * 70 + "]" * 70 + ": pass",
        "x = " + "-" * 100_000 + "1",
    ],
    ids=["parentheses", "pattern", "signs"],
)
def test_python(folder, source):
    (folder / "b.py").write_text(source)
    for command in (("refs", "--code", "."), ("refs", "--code", "b.py")):
        checked(folder, command)


@pytest.mark.parametrize("name", ["pyproject.toml"])
def test_the_projects_own_file(folder, name):
    for content in (
        b"\xff",
        b"[tool",
        b"[tool.windsock]\nsettings = 7\n",
        b"a = " + b"[" * 5_000,
        b"tool = 1\n",
        b"a = " + b"9" * 100_000,
        b".".join([b"a"] * 50_000) + b" = 1",
        b".".join([b'"a \\" b"'] * 50_000) + b" = 1",
        b"[" + b" . ".join([b"' = '"] * 50_000) + b"]",
    ):
        (folder / name).write_bytes(content)
        for command in (("lint",), ("check", "pyproject.toml")):
            checked(folder, command)


def test_a_population(folder, write):
    write({"f": boolean({"fractional": [["on", 1], ["off", 1]]})})
    for number, content in enumerate(
        (b"\0" * 1_000, b"id\n" + b"x" * 5_000_000, b"\xff\xfe", b"", b'id\n"a\nb"\n\x1b[2J\n')
    ):
        path = folder / f"users{number}.csv"
        path.write_bytes(content)
        checked(folder, ("plan", "--users", path.name))


def column(name: bytes, *fields: bytes) -> bytes:
    """A Parquet file's word on one column, in Thrift's compact protocol: a name, then fields after it."""
    return b"\x48" + bytes([len(name)]) + name + b"".join(fields) + b"\0"


def group(name: bytes, children: int) -> bytes:
    return column(name, b"\x15", bytes([2 * children]))


def varint(number: int) -> bytes:
    return bytes(number >> shift & 0x7F | 0x80 for shift in (0, 7, 14)) + bytes([number >> 21])


def listed(columns: int, schema: bytes) -> bytes:
    return b"\xfc" + varint(columns) + schema


def footed(fields: bytes) -> bytes:
    """A Parquet file that is only a footer."""
    return b"PAR1" + fields + b"\0" + (len(fields) + 1).to_bytes(4, "little") + b"PAR1"


NO_ROWS = b"\x16\0\x19\x0c"


def parquet(columns: int, schema: bytes) -> bytes:
    return footed(b"\x15\x02\x19" + listed(columns, schema) + NO_ROWS)


ID = b"\x15\x0c\x25\0\x18\x02id\0"
LEAF = b"\x15\x02\x25\0\x18\x01l\0"
SHALLOW = b"\x15\x02\x19\x2c" + group(b"s", 1) + ID
DEEP = listed(20_003, group(b"s", 2) + ID + group(b"g", 1) * 20_000 + LEAF) + NO_ROWS
AGAIN = b"\x09\x04" + DEEP  # a second schema, which is the one that DuckDB reads
UNION = b"x" * 2**14 + b"\0"
PARQUET = {
    "groups 20,000 deep.parquet": parquet(20_003, group(b"s", 2) + ID + group(b"g", 1) * 20_000 + LEAF),
    "lists 1,000 deep after others.parquet": parquet(
        2_004, group(b"s", 3) + ID + LEAF + (group(b"a", 1) + group(b"list", 1)) * 1_000 + LEAF
    ),
    "50,000 columns.parquet": parquet(50_002, column(b"s", b"\x15\xa2\x8d\x06") + ID + LEAF * 50_000),
    "a column whose values have any depth.parquet": parquet(
        5, group(b"s", 2) + ID + column(b"v", b"\x15\x04", b"\x5c\x0c\x01\x10\0\0") + LEAF * 2
    ),
    "a second schema whose number is negative.parquet": footed(SHALLOW + b"\x09\xfb\xff\x07" + DEEP),
    "a schema after a text in its place.parquet": footed(
        b"\x15\x02\x18\x0c\x78" + varint(7 + len(AGAIN)) + b"x" * 7 + AGAIN
    ),
    "a second schema in what a list says is text.parquet": footed(
        SHALLOW + b"\x59\x18\xb8\x80\x80\x01" + UNION + AGAIN + b"\x08\xc6\x01"
        + varint(left := 2**21 + 0x38 - len(UNION) - len(AGAIN) - 7) + b"x" * left
    ),
    "more columns than bytes.parquet": parquet(2**27, group(b"s", 1) + ID),
    "an endless footer.parquet": b"PAR1" + b"\x19" * 500_000 + (500_000).to_bytes(4, "little") + b"PAR1",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PARQUET)
def test_a_parquet_file_of_any_shape(folder, write, name):
    write({"f": boolean({"fractional": [["on", 1], ["off", 1]]})})
    (folder / name).write_bytes(PARQUET[name])
    assert f"windsock: {name}: " in checked(folder, ("plan", "--users", name))


POPULATIONS = {
    "2 million cells in one row.csv": b"x," * 2_000_000,
    "50,000 columns.csv": b",".join(b"c%d" % each for each in range(50_000)) + b"\n",
    "50,000 columns of a user.csv": b"id" + b"".join(b",c%d" % each for each in range(50_000)) + b"\nu" + b",1" * 50_000 + b"\n",
    "1,000 columns of 20,000 users.csv": b"id" + b"".join(b",c%d" % each for each in range(1_000)) + (b"\nu" + b",1" * 1_000) * 20_000,
    "lists 100,000 deep.jsonl": b'{"id": "u", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "objects 3,000 deep.jsonl": b'{"id": "u", "a": ' + b'{"a": ' * 3_000 + b"1" + b"}" * 3_000 + b"}\n",
    "objects 20,000 deep after a user.jsonl": b'{"id": "v"}\n{"id": "u", "a": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
    "a text that never ends.jsonl": b'{"id": "u", "a": ' + b"[" * 101 + b'"' + b'\\"' * 100_000 + b"}\n",
    "300,000 attributes of a user.jsonl": b'{"id": "u"' + b"".join(b', "k%d": 1' % each for each in range(300_000)) + b"}\n",
    "300 new attributes of each of 1,000 users.jsonl": b"".join(
        b'{"id": "u"' + b"".join(b', "k%d": 1' % (user * 300 + each) for each in range(300)) + b"}\n" for user in range(1_000)
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", POPULATIONS)
def test_a_population_of_any_shape(folder, write, name):
    write({"f": boolean({"fractional": [["on", 1], ["off", 1]]})})
    (folder / name).write_bytes(POPULATIONS[name])
    said = checked(folder, ("plan", "--users", name))
    assert len(said) < 2_000, "a message that a person can read"
