"""The pytest plugin, in real runs of pytest of its own."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

APP = """
    import windsock

    class Tutor(windsock.Settings, flag="tutor"):
        top_k: int = 10
        model: str = "small"

    checkout = windsock.feature("checkout", default=False)
    beta = windsock.feature("beta.v2", default=False)
"""
TESTS = """
    import pytest
    import windsock
    from app import Tutor, beta, checkout

    @pytest.mark.flags(checkout=True)
    def test_marked():
        assert checkout("ada") and not beta("ada")

    @pytest.mark.flags({"beta.v2": True})
    @pytest.mark.settings(Tutor, top_k=25)
    class TestMarkedClass:
        def test_inherits(self):
            assert (beta(), Tutor.live().top_k) == (True, 25)

        @pytest.mark.settings(Tutor, {"top_k": 30})
        def test_the_closest_wins(self):
            assert Tutor.live().top_k == 30

    def test_fixture(flags):
        flags(Tutor, top_k=7)
        flags({"checkout": True})
        assert (Tutor.for_user("ada").top_k, checkout()) == (7, True)

    @pytest.mark.parametrize("n", range(20))
    def test_nothing_leaks(n):
        assert (Tutor.live().top_k, checkout(), beta()) == (10, False, False)

    def test_usage(usage, tmp_path):
        windsock.start(flags=tmp_path)  # the application's own, which records nowhere
        with windsock.request(user_id="ada"):
            Tutor.for_user("ada").top_k
        [row] = usage.rows
        assert (row.flag, row.user_id, row.values_json) == ('tutor', 'ada', '{"top_k":10}')
        windsock.stop()
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "--strict-markers",
        *arguments,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    (tmp_path / "test_app.py").write_text(textwrap.dedent(TESTS))
    (tmp_path / "conftest.py").write_text("import sys\nsys.path.insert(0, '.')\n")
    return tmp_path


@pytest.mark.parametrize("workers", ["0", "2"])
def test_markers_and_fixtures(project: Path, workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = project / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    done = run(project, "-n", workers)
    assert "25 passed" in done.stdout, done.stdout + done.stderr
    assert not (project / ".windsock").exists()
    assert list(temporary.glob("windsock-pytest-*")) == []


MORE = """
    import pytest
    import windsock
    from app import Tutor, beta, checkout

    @pytest.mark.profile("experimental_v1")
    def test_profile():
        assert Tutor.for_user("ada").top_k == 25

    @pytest.mark.settings(Tutor, model="gone")
    def test_healed(healed):
        def call(settings):
            if settings.model == "gone":
                raise LookupError("404: there is no such model")

        with windsock.request(user_id="ada"):
            windsock.heal(Tutor.for_user("ada"), call)
        [found] = healed()
        assert (found["field"], found["failed_value"], found["fell_to"]) == ("model", "gone", "default")

    @pytest.mark.flags(checkout=True)
    def test_asks_for_nothing():
        assert not beta()

    @pytest.mark.flags(checkout=True)
    def test_asks():
        assert checkout()
"""


def test_profiles_healed_values_and_strict_overrides(project: Path) -> None:
    (project / "test_app.py").write_text(textwrap.dedent(MORE))
    (project / "flagd").mkdir()
    (project / "flagd/tutor.flagd.json").write_text(
        '{"flags": {"tutor.profile": {"state": "ENABLED", "variants": {"none": {}, "experimental_v1": {"top_k": 25}},'
        ' "defaultVariant": "none"}}}'
    )
    done = run(project, "-n", "0")
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    done = run(project, "-n", "0", "--flags-strict")
    assert "4 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "no code asked for 'checkout' while it was overridden (--flags-strict)" in done.stdout
    assert "overriding.py" not in done.stdout, "the same line, without a traceback"


def test_a_marker_that_does_not_fit_fails_its_test_alone(project: Path) -> None:
    (project / "test_app.py").write_text(
        "import pytest\nimport app\n"
        "@pytest.mark.settings(app.Tutor, topk=1)\ndef test_bad(): ...\n"
        "@pytest.mark.settings(app.Tutor, None)\ndef test_class_alone(): ...\n"
        "@pytest.mark.flags\ndef test_empty(): ...\n"
        "@pytest.mark.flags('checkout')\ndef test_text(): ...\n"
        "@pytest.mark.flags({'checkout': True}, 4)\ndef test_two(): ...\n"
        "@pytest.mark.settings(app.Tutor, 3)\ndef test_number(): ...\n"
        "@pytest.mark.profile('big', 'nowhere')\ndef test_path(): ...\n"
        "@pytest.mark.profile('big', top_k=3)\ndef test_field(): ...\n"
        "def test_good(): ...\n"
    )
    done = run(project, "-n", "0")
    assert "1 passed, 8 errors" in done.stdout
    assert "@pytest.mark.flags: 4 has no value; `pytest --markers`" in done.stdout
    assert "@pytest.mark.settings: 3 has no field of Tutor: write {'top_k': 3}" in done.stdout
    assert "@pytest.mark.profile: nowhere: No such file or directory" in done.stdout
    assert "@pytest.mark.profile: profile() got an unexpected keyword argument 'top_k'" in done.stdout
    assert "@pytest.mark.settings: no value for Tutor to force" in done.stdout
    assert "@pytest.mark.flags: nothing to force; `pytest --markers` shows what it takes" in done.stdout
    assert "@pytest.mark.flags: 'checkout' has no value; `pytest --markers`" in done.stdout
    assert "@pytest.mark.settings: Tutor has no field 'topk'; did you mean 'top_k'?" in done.stdout
    assert "During handling" not in done.stdout, "each mistake is told once"
    assert "_windsock_pytest.py" not in done.stdout, (
        "a traceback through the plugin says nothing about the mistake"
    )


LEAKING = """
    import pytest
    import windsock
    from app import Tutor

    def test_a_model_fails_until_it_is_withdrawn(monkeypatch, tmp_path):
        flag = '{"state": "ENABLED", "variants": {"b": {"model": "gone"}}, "defaultVariant": "b"}'
        (tmp_path / "a.flagd.json").write_text('{"flags": {"tutor": %s}}' % flag)
        windsock.start(flags=tmp_path)

        def call(settings):
            if settings.model == "gone":
                raise LookupError("404: there is no such model")

        assert Tutor.live().model == "gone"
        for user in range(5):
            with windsock.request(user_id=str(user)):
                windsock.heal(Tutor.for_user(str(user)), call)
        assert Tutor.live().model == "small"
        windsock.stop()
"""


def test_what_a_run_withdraws_does_not_reach_the_next(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "test_app.py").write_text(textwrap.dedent(LEAKING))
    (project / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(project / "temporary"))
    for _ in range(2):
        done = run(project, "-n", "0")
        assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert not (project / ".windsock").exists()
    assert list((project / "temporary").glob("windsock-*")) == []


def test_a_project_that_does_not_use_it_imports_nothing_of_windsock(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\ndef test_plain():\n"
        "    ours = sorted(name for name in sys.modules if name.startswith(('windsock', 'openfeature', 'pydantic')))\n"
        "    assert [name for name in ours if name.startswith('windsock')] == WINDSOCK, ours\n"
        "    assert not [name for name in ours if not name.startswith('windsock')], ours\n"
        "WINDSOCK = []\n"
    )
    done = run(
        tmp_path, "-n", "0", "-p", "no:logfire", "-p", "no:hypothesispytest", "-p", "no:langsmith_plugin"
    )
    assert "1 passed" in done.stdout, done.stdout
