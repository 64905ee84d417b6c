"""`windsock fmt` as a program."""

from tests.cli.conftest import boolean


def test_check_names_the_files_and_changes_nothing(windsock, write):
    path = write({"f": boolean()})
    path.write_text(path.read_text().replace("\n", ""))
    before = path.read_bytes()
    done = windsock("fmt", "--check")
    assert (done.returncode, done.stdout) == (1, "flagd/a.flagd.json\n")
    assert path.read_bytes() == before
    assert windsock("fmt").returncode == 0
    assert path.read_bytes() != before
    done = windsock("fmt", "--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_file_that_cannot_be_read_is_left_and_the_others_are_written(windsock, write):
    broken, good = write({}, "broken"), write({"f": boolean()}, "good")
    broken.write_text('{"flags": {')
    good.write_text(good.read_text().replace("\n", ""))
    done = windsock("fmt")
    assert (done.returncode, done.stdout) == (1, "flagd/good.flagd.json\n")
    assert "flagd/broken.flagd.json:1:" in done.stderr
    assert broken.read_text() == '{"flags": {'


def test_a_named_file_of_another_kind_is_refused(windsock, write):
    path = write({}).with_name("settings.py")
    path.write_text("PORT = 8000")
    done = windsock("fmt", "--check", str(path))
    assert done.returncode == 1
    assert 'settings.py:1:1: a flagd document is a JSON object with "flags"' in done.stderr
