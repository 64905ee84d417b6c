"""Pulls the images that others publish, and prints the digest of each as a line of an env file.

    python3 deploy/image_digests.py > images.env
    docker compose --env-file images.env up

Each digest is one that Docker got from the registry with the image; where there is none, the script fails and
prints nothing. `.github/workflows/release.yml` runs it for each release. It needs Docker and nothing else.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_COMPOSE = re.compile(r"image: (?:&\S+ )?\$\{(?P<variable>\w+):-(?P<image>[^}\s]+:[^}\s]+)\}")
IN_DOCKERFILE = re.compile(r"^ARG (?P<variable>\w+_IMAGE)=(?P<image>\S+)$", re.MULTILINE)
DIGEST = re.compile(r"\S+@(sha256:[0-9a-f]{64})")


def images() -> dict[str, str]:
    """The images that are pulled, by the variable that replaces each; not those that are built here."""
    texts = ((ROOT / "docker-compose.yml", IN_COMPOSE), (ROOT / "Dockerfile", IN_DOCKERFILE))
    found = [match for path, pattern in texts for match in pattern.finditer(path.read_text(encoding="utf-8"))]
    return {each["variable"]: each["image"] for each in found if not each["image"].endswith(":local")}


def digest(image: str) -> str:
    """The digest that Docker got with an image.

    Raises:
        SystemExit: The image can't be pulled, or Docker knows no digest of it.
    """
    _docker("pull", "--quiet", image)
    repository = image.rpartition(":")[0]
    known = _docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image).splitlines()
    for each in known:
        match = DIGEST.fullmatch(each.strip())
        if match is not None and each.partition("@")[0].removeprefix("docker.io/library/") == repository:
            return match[1]
    raise SystemExit(f"{image}: Docker knows no digest of it, only {known or 'nothing'}")


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit("docker is not installed: the digests come from it alone") from None
    if done.returncode:
        raise SystemExit(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> None:
    """Print a line for each image, once all have a digest."""
    lines = [f"{variable}={image}@{digest(image)}" for variable, image in images().items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
