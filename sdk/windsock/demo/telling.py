"""Tells a story to its end, whatever happens, and as data."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from windsock.demo.example import Tale
from windsock.demo.stage import Stage
from windsock.demo.story import Promise, Scene


def to_the_end(tale: Tale, stage: Stage) -> Iterator[Scene]:
    """Tell the story; a step that fails counts as a broken promise, and ends it."""
    try:
        yield from tale.tell()
    except Exception as error:  # noqa: BLE001 - any failure belongs in the story
        log = {"the log says": "\n".join(stage.log[-10:])} if stage.log else {}
        found = f"{type(error).__name__}: {error}"
        yield Scene(
            "The story breaks off",
            "A step did not come to its end.",
            seen=log,
            promises=[Promise("each step ends", kept=False, found=found)],
        )


def as_data(scenes: Sequence[Scene]) -> dict[str, object]:
    """The story as plain data; ``ok`` if every promise was kept."""
    return {
        "ok": all(promise.kept for scene in scenes for promise in scene.promises),
        "steps": [asdict(scene) | {"rows": [row.to_dict() for row in scene.rows]} for scene in scenes],
    }
