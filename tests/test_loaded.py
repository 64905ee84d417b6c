"""What a service loads is as little as the page says, and no more than a ceiling that is raised for a reason."""

from tests.loaded_page import CEILING, PAGE, loaded, page


def test_a_service_loads_no_more_than_the_ceiling() -> None:
    _, after = loaded()
    assert sum(after.values()) <= CEILING
    rooms = {name.split(".")[1] for name in after if "." in name}
    assert rooms.isdisjoint(
        {"api", "cli", "code", "demo", "experiments", "flagfiles", "gitops", "lint", "mirror", "testing"}
    )
    assert "windsock.usage.writer" not in after


def test_the_page_names_every_module_that_is_loaded() -> None:
    """After a change: ``python -m tests.loaded_page``."""
    assert PAGE.read_text() == page()
