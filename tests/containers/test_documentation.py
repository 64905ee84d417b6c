"""The test file with containers that docs/testing.md shows runs as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from testcontainers.core.config import testcontainers_config
from tests.test_docs import REPOSITORY, TESTING, python_blocks

pytestmark = [pytest.mark.containers, pytest.mark.xdist_group("containers")]


def test_the_test_file_with_containers_in_the_page_about_testing_passes(engine, require_image, tmp_path):
    [text] = [block for block in python_blocks(TESTING) if "windsock_container_flagd" in block]
    (tmp_path / "test_it.py").write_text(text)
    shutil.copy(REPOSITORY / "docker-compose.yml", tmp_path)
    variables = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WINDSOCK_POSTGRES_IMAGE": require_image("postgres"),
        "WINDSOCK_FLAGD_IMAGE": require_image("flagd"),
        "TESTCONTAINERS_RYUK_DISABLED": str(testcontainers_config.ryuk_disabled).lower(),
    }
    if testcontainers_config.tc_host_override:
        variables["TESTCONTAINERS_HOST_OVERRIDE"] = testcontainers_config.tc_host_override
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-W",
            "error",
            "--rootdir",
            tmp_path,
            "--basetemp",
            tmp_path / "temporary",
        ],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert re.search(r"\b1 passed in", done.stdout), done.stdout + done.stderr
