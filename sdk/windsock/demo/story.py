"""The demo's story, step by step: what happens, why it matters, what was seen, and which promise it keeps."""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from windsock.demo.stage import Stage, wait
from windsock.usage import UsageRecord
from windsock.usage.reading import Selection, read

PROFILE = "experimental_v1"
NEXT_PROFILE = "experimental_v2"
MISSPELLED = "gpt-4oo"

ASSIGN = """\
UPDATE profiles
SET config_id = (SELECT id FROM app_configurations WHERE name = %s)
WHERE id = %s"""
SET_TOP_K = """\
UPDATE app_configurations SET settings = jsonb_set(settings, '{retrieval_top_k}', %s)
WHERE name = %s"""
COPY_MISSPELLED = """\
INSERT INTO app_configurations (name, settings)
SELECT %s, jsonb_set(settings, '{reasoning_model}', %s)
FROM app_configurations WHERE name = %s"""
SET_MODEL = """\
UPDATE app_configurations SET settings = jsonb_set(settings, '{reasoning_model}', %s)
WHERE name = %s"""


DEFAULTS = {"retrieval_top_k": 10, "rerank_top_n": 3, "reasoning_model": "gpt-4o-mini", "temperature": 0.7}
TUNED = {"retrieval_top_k": 25, "rerank_top_n": 5, "reasoning_model": "gpt-4o", "temperature": 0.2}


@dataclass(frozen=True, slots=True)
class Promise:
    """A condition that must hold, and what was found."""

    text: str
    kept: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """One step of the story.

    Attributes:
        title: What happens.
        why: Why it matters, in one sentence.
        did: The statement or command that ran, or empty.
        seen: Observations by name.
        milliseconds: Measured times by name.
        promises: The promises that had to hold.
        rows: Rows of ``usage_logs`` to show.
        names: Names to show instead of the ids in those rows.
    """

    title: str
    why: str
    did: str = ""
    seen: Mapping[str, str] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    promises: Sequence[Promise] = ()
    rows: Sequence[UsageRecord] = ()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """A user's question and its answer.

    Attributes:
        used: The settings values used for the answer.
        model: The model that answered.
        answer: Its answer.
        explanation: Where each value came from, as text.
        took: Duration in milliseconds.
    """

    used: Mapping[str, object]
    model: str
    answer: str
    explanation: str
    took: float


class Teaching(Protocol):
    """The service in the story: an AI teacher that searches, ranks and asks a model."""

    def ask(self, user: str) -> Message:
        """Answer one message of a user."""

    def value(self, user: str, name: str) -> object:
        """The value that the user's next message would use."""

    def log(self) -> Sequence[str]:
        """The service's log so far, one line per message, with its level."""

    def reading(self, user: str) -> Mapping[str, float]:
        """Milliseconds to read a user's settings, if that can be measured."""


class Story:
    """Two users of an AI teacher, and changes that people make to its settings meanwhile."""

    def __init__(self, stage: Stage, teaching: Teaching) -> None:
        self._stage, self._teaching = stage, teaching
        self._ada, self._ben = str(uuid4()), str(uuid4())
        self._sent = 0

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one."""
        for step in self.steps():
            yield step()

    def steps(self) -> list[Callable[[], Scene]]:
        """The steps in order, not yet run."""
        return [
            self._opening,
            self._defaults,
            self._assignment,
            self._change,
            self._misspelled_model,
            self._database_away,
            self._usage_logs,
        ]

    def _opening(self) -> Scene:
        stage = self._stage
        stage.sql("INSERT INTO profiles (id) VALUES (%s), (%s)", self._ada, self._ben)
        ((version,),) = stage.sql("SELECT current_setting('server_version')")
        return Scene(
            "A database, a mirror and a model endpoint start",
            "Tables, commands and clients are those of a deployment; the language model is a stand-in.",
            did=f"windsock migrate && windsock {' '.join(stage.mirror_arguments)}",
            seen={
                "database": f"PostgreSQL {version}, {stage.applied} migrations applied, users Ada and Ben",
                "mirror": "a separate process; it turns assignments into flagd files",
                "models": f"an OpenAI-compatible endpoint; it knows {' and '.join(stage.endpoint.models)}",
            },
            milliseconds={"all of it started in": stage.startup * 1000},
        )

    def _defaults(self) -> Scene:
        message = self._ask(self._ada)
        return Scene(
            "Ada asks a question",
            "Nothing is tuned for her yet: the service works with the defaults in its code.",
            seen={"settings": message.explanation, "answer": message.answer},
            milliseconds={
                "her message took": message.took,
                **self._teaching.reading(self._ada),
            },
            promises=[_used("she gets the code's defaults", message, DEFAULTS)],
        )

    def _assignment(self) -> Scene:
        self._stage.sql(ASSIGN, PROFILE, self._ada)
        seconds = self._until("retrieval_top_k", 25)
        ada, ben = self._ask(self._ada), self._ask(self._ben)
        return Scene(
            f"Somebody assigns Ada the profile {PROFILE}",
            "One UPDATE in the database, no deployment: a message some milliseconds later uses it.",
            did=written(ASSIGN, PROFILE, self._ada),
            seen={"settings": ada.explanation, "answer": ada.answer},
            milliseconds={"from the commit to the first evaluation that has it": seconds},
            promises=[
                _used("her next message uses the profile: 25, 5, gpt-4o, 0.2", ada, TUNED),
                Promise("her answer came from gpt-4o", ada.model == "gpt-4o", ada.model),
                _used("Ben still gets the defaults", ben, DEFAULTS),
            ],
        )

    def _change(self) -> Scene:
        taken = [self._set_top_k(top_k) for top_k in range(31, 41)]
        message = self._ask(self._ada)
        return Scene(
            "retrieval_top_k is changed in the database, ten times: 31, 32, … 40",
            "Tuning is a loop of changing and looking; milliseconds make it feel like editing a file.",
            did=written(SET_TOP_K, "40", PROFILE),
            seen={"answer": message.answer},
            milliseconds={
                "from the commit to the first evaluation that has it, median": statistics.median(taken),
                "the slowest": max(taken),
            },
            promises=[_used("her next message uses the new value", message, TUNED | {"retrieval_top_k": 40})],
        )

    def _misspelled_model(self) -> Scene:
        copied = (NEXT_PROFILE, json.dumps(MISSPELLED), PROFILE)
        self._stage.sql(COPY_MISSPELLED, *copied)
        self._stage.sql(ASSIGN, NEXT_PROFILE, self._ada)
        self._until("reasoning_model", MISSPELLED)
        served, logged = len(self._stage.endpoint.served), len(self._teaching.log())
        message = self._ask(self._ada)
        replies = [f"{each.model} {each.status}" for each in self._stage.endpoint.served[served:]]
        lines = [line for line in self._teaching.log()[logged:] if "ERROR" in line]
        named = any("reasoning_model" in line and "gpt-4o-mini" in line for line in lines)
        return Scene(
            f"Somebody gives Ada the profile {NEXT_PROFILE}, in which the model is misspelled: {MISSPELLED}",
            "The value is valid text, so only the call can tell. It fails, and Ada still gets an answer.",
            did=f"{written(COPY_MISSPELLED, *copied)}\n{written(ASSIGN, NEXT_PROFILE, self._ada)}",
            seen={
                "the endpoint said": ", then ".join(replies),
                "the log says": "\n".join(lines),
                "answer": message.answer,
            },
            milliseconds={"the message, with the failed call in it, took": message.took},
            promises=[
                Promise(
                    "Ada was answered, by the default model", message.model == "gpt-4o-mini", message.model
                ),
                Promise(
                    "the endpoint refused the misspelled one first", replies[:1] == [f"{MISSPELLED} 404"]
                ),
                Promise("an ERROR names the field and what it fell to", named),
                Promise(
                    "the rest of her profile still counts",
                    message.used["retrieval_top_k"] == 40,
                    f"retrieval_top_k {message.used['retrieval_top_k']}",
                ),
            ],
        )

    def _database_away(self) -> Scene:
        logged = len(self._teaching.log())
        self._stage.stop_database()
        message = self._ask(self._ada)
        self._stage.start_database()
        stored = wait(lambda: len(self._rows()) >= self._sent, "the row that waited on disk")
        self._stage.sql(SET_MODEL, json.dumps("gpt-4o"), NEXT_PROFILE)
        self._until("reasoning_model", "gpt-4o")
        corrected = self._ask(self._ada)
        lines = [line for line in self._teaching.log()[logged:] if "usage records" in line]
        return Scene(
            "The database goes away and comes back; then somebody corrects the model",
            "A request never waits for it: the last settings serve, and the usage record waits on disk.",
            did=written(SET_MODEL, json.dumps("gpt-4o"), NEXT_PROFILE),
            seen={
                "answer without a database": message.answer,
                "the log says": "\n".join(lines),
                "answer after it is back": corrected.answer,
            },
            milliseconds={
                "her message, without a database, took": message.took,
                "from the database's return to the waiting row in it": stored,
            },
            promises=[
                Promise(
                    "Ada was answered with her profile while the database was down",
                    message.used["retrieval_top_k"] == 40 and message.model == "gpt-4o-mini",
                    f"retrieval_top_k {message.used['retrieval_top_k']}, answered by {message.model}",
                ),
                _used(
                    "the mirror follows the database again",
                    corrected,
                    TUNED | {"retrieval_top_k": 40},
                ),
            ],
        )

    def _usage_logs(self) -> Scene:
        wait(lambda: len(self._rows()) >= self._sent, "a row for each message")
        rows = self._rows()
        configs = self._stage.sql(
            "SELECT id, name FROM app_configurations WHERE name IN (%s, %s) ORDER BY name",
            PROFILE,
            NEXT_PROFILE,
        )
        profiles = [row.config_id for row in rows if row.user_id == self._ada]
        healed = [row for row in rows if row.healed]
        return Scene(
            "What was used is in usage_logs",
            "Each answer can be traced to its profile and values; experiments are computed from them.",
            did="windsock usage",
            promises=[
                Promise(
                    "each message left one row",
                    len(rows) == self._sent,
                    f"{self._sent} messages, {len(rows)} rows",
                ),
                Promise(
                    "Ada's rows name her profile at the time, from the first assignment on",
                    list(dict.fromkeys(profiles)) == [None, *(config for config, _ in configs)],
                ),
                Promise(
                    "the healed messages name the field and the value that failed",
                    bool(healed) and all(_names_misspelled(row) for row in healed),
                    f"{len(healed)} rows",
                ),
            ],
            rows=rows,
            names={
                self._ada: "Ada",
                self._ben: "Ben",
                **{str(config): name for config, name in configs},
            },
        )

    def _set_top_k(self, top_k: int) -> float:
        """Change the value in the database; return the milliseconds until an evaluation sees it."""
        self._stage.sql(SET_TOP_K, str(top_k), PROFILE)
        return self._until("retrieval_top_k", top_k)

    def _ask(self, user: str) -> Message:
        self._sent += 1
        return self._teaching.ask(user)

    def _until(self, name: str, value: object) -> float:
        """Wait until Ada's next message would use a value; return the milliseconds."""
        return wait(lambda: self._teaching.value(self._ada, name) == value, f"{name} {value!r}")

    def _rows(self) -> list[UsageRecord]:
        """The rows of the demo's messages, oldest first."""
        with self._stage.connect() as connection:
            return read(connection, Selection(limit=100))[::-1]


def written(statement: str, *values: str) -> str:
    """Write a statement with its values, as a person would type it."""
    for value in values:
        statement = statement.replace("%s", f"'{value}'", 1)
    return statement + ";"


def _used(text: str, message: Message, wanted: Mapping[str, object]) -> Promise:
    used = {name: message.used[name] for name in wanted}
    return Promise(text, used == wanted, ", ".join(f"{name} {value}" for name, value in used.items()))


def _names_misspelled(row: UsageRecord) -> bool:
    return any(
        each["field"] == "reasoning_model" and each["failed_value"] == MISSPELLED for each in row.healed
    )
