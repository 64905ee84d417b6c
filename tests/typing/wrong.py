"""What type checkers must refuse: each marked line, and nothing else. Checked by tests/typing, never run."""

import windsock


class Teacher(windsock.Settings, flag="teacher"):
    top_k: int = 10


Teacher(top_k="many")  # wrong, but the plugin lets text through as on BaseSettings
Teacher.for_user()  # wrong
missing = Teacher.for_user("ann").no_such  # wrong
Teacher.live().top_k.upper()  # wrong
windsock.feature("rag")  # wrong
windsock.feature("rag", default=[])  # wrong
windsock.feature("theme", default="light")().bit_length()  # wrong
windsock.feature("size", default=1)("ann").upper()  # wrong
windsock.heal(Teacher.live(), lambda settings: settings.no_such)  # wrong
windsock.heal("text", len)  # wrong
