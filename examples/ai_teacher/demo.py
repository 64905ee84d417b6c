"""The AI Teacher's story: what people do in the database, and what a pupil's next message is made with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from windsock.cli._demo_example import Service, serve
from windsock.cli._demo_stage import Stage, wait
from windsock.cli._demo_story import ASSIGN, COPY_MISSPELLED, SET_TOP_K, Promise, Step, written
from windsock.usage import UsageRecord
from windsock.usage.reading import Selection, read

FLAG = "teacher"
MIRROR = ()
INTRODUCTION = (
    "The AI Teacher is a FastAPI service with a langgraph agent. It checks a pupil's wallet, reads the "
    "pupil's settings, searches a small corpus and asks a model. Here it runs as a process of its own and is "
    "asked over HTTP."
)
QUESTION = "Why is the sky blue?"
PROFILE = "experimental_v1"
NEXT_PROFILE = "experimental_v2"
EMPTY = "UPDATE wallets SET balance = 0 WHERE user_id = %s"


@contextmanager
def running(stage: Stage) -> Iterator["Tale"]:
    """Start the service, for as long as the block lasts."""
    variables = {"DATABASE_URL": stage.url, "OPENAI_BASE_URL": stage.endpoint.url, "OPENAI_API_KEY": "none"}
    with serve(Path(__file__).parent, "app.main:app", variables) as service:
        yield Tale(stage, service)


class Tale:
    """Two pupils, Ada and Ben, each with a full wallet."""

    def __init__(self, stage: Stage, service: Service) -> None:
        self._stage, self._service = stage, service
        self._ada, self._ben = str(uuid4()), str(uuid4())
        self._asked = 0

    def tell(self) -> Iterator[Step]:
        """Run the steps one by one."""
        yield self._opening()
        yield self._defaults()
        yield self._assignment()
        yield self._change()
        yield self._misspelled_model()
        yield self._database_away()
        yield self._empty_wallet()
        yield self._usage_logs()

    def _opening(self) -> Step:
        for pupil in (self._ada, self._ben):
            self._stage.sql("INSERT INTO profiles (id) VALUES (%s)", pupil)
            self._stage.sql("INSERT INTO wallets (user_id, balance) VALUES (%s, 100)", pupil)
        return Step(
            "PostgreSQL, the mirror, a model endpoint and the service start",
            "All of it is on loopback; the model is a stand-in that refuses what the real API refuses.",
            did=f"windsock {' '.join(self._stage.mirror_arguments)} & uvicorn app.main:app",
            seen={"service": self._service.url, "Ada": self._ada, "Ben": self._ben},
        )

    def _defaults(self) -> Step:
        reply = self._ask(self._ada)
        return Step(
            "Ada asks a question",
            "Her config_id is NULL: every value is a default of app/core/config.py.",
            seen={"answer": reply["answer"]},
            promises=[
                _made_with("10 passages, 3 read, gpt-4o-mini", reply, (10, 3, "gpt-4o-mini")),
                Promise("get_user_config gives an empty dict", reply["config"] == {}),
            ],
        )

    def _assignment(self) -> Step:
        self._stage.sql(ASSIGN, PROFILE, self._ada)
        took = self._until(self._ada, "retrieval_top_k", 25)
        ada, ben = self._ask(self._ada), self._ask(self._ben)
        return Step(
            f"Somebody assigns Ada the profile {PROFILE}",
            "The next message uses it; no deployment, no restart.",
            did=written(ASSIGN, PROFILE, self._ada),
            seen={"answer": ada["answer"]},
            milliseconds={"from the commit until the service has it": took},
            promises=[
                _made_with("Ada: 25 passages, 5 read, gpt-4o", ada, (25, 5, "gpt-4o")),
                _made_with("Ben: the defaults", ben, (10, 3, "gpt-4o-mini")),
            ],
        )

    def _change(self) -> Step:
        self._stage.sql(SET_TOP_K, "40", PROFILE)
        took = self._until(self._ada, "retrieval_top_k", 40)
        return Step(
            "retrieval_top_k is changed in the database",
            "Tuning is a loop of changing and looking.",
            did=written(SET_TOP_K, "40", PROFILE),
            milliseconds={"from the commit until the service has it": took},
            promises=[_made_with("Ada's next message: 40 passages", self._ask(self._ada), (40, 5, "gpt-4o"))],
        )

    def _misspelled_model(self) -> Step:
        copied = (NEXT_PROFILE, '"gpt-4oo"', PROFILE)
        self._stage.sql(COPY_MISSPELLED, *copied)
        self._stage.sql(ASSIGN, NEXT_PROFILE, self._ada)
        self._until(self._ada, "reasoning_model", "gpt-4oo")
        reply = self._ask(self._ada)
        errors = self._service.lines("ERROR")
        return Step(
            f"Somebody gives Ada the profile {NEXT_PROFILE}, in which the model is misspelled: gpt-4oo",
            "Only the call can tell. It fails, is logged, and Ada is answered by the default all the same.",
            did=f"{written(COPY_MISSPELLED, *copied)}\n{written(ASSIGN, NEXT_PROFILE, self._ada)}",
            seen={"answer": reply["answer"], "the log says": "\n".join(errors)},
            promises=[
                _made_with(
                    "the default model answered; the rest of the profile counts",
                    reply,
                    (40, 5, "gpt-4o-mini"),
                ),
                Promise(
                    "an ERROR names the parameter and the fallback",
                    any(
                        "Config parameter gpt-4oo failed" in line and "Falling back" in line
                        for line in errors
                    ),
                ),
            ],
        )

    def _database_away(self) -> Step:
        self._stage.stop_database()
        reply = self._ask(self._ada)
        self._stage.start_database()
        return Step(
            "The database goes away and comes back",
            "The last published profile serves. The wallet cannot be read, so the answer is not charged.",
            seen={"answer without a database": reply["answer"]},
            promises=[_made_with("Ada was answered with her profile", reply, (40, 5, "gpt-4o-mini"))],
        )

    def _empty_wallet(self) -> Step:
        self._stage.sql(EMPTY, self._ben)
        wait(lambda: self._post(self._ben).status_code == 402, "the refusal")
        refused = self._post(self._ben)
        return Step(
            "Ben's wallet is empty",
            "initialize_session checks the wallet first: no configuration is read, no model is asked.",
            did=written(EMPTY, self._ben),
            seen={"the service says": f"{refused.status_code} {refused.json()['detail']}"},
            promises=[Promise("Ben is refused", refused.status_code == 402)],
        )

    def _usage_logs(self) -> Step:
        wait(lambda: len(self._rows()) >= self._asked, "a row for each message")
        rows = self._rows()
        named = self._stage.sql("SELECT name, id FROM app_configurations")
        ids = dict(named)
        profiles = [row.config_id for row in rows if row.user_id == self._ada]
        return Step(
            "usage_logs says which config_id each message used",
            "Every answer can be traced to its profile, its values and what was healed.",
            did="windsock usage",
            rows=rows,
            names={self._ada: "Ada", self._ben: "Ben"} | {str(config_id): name for name, config_id in named},
            promises=[
                Promise(
                    "Ada's five messages name none, twice her first profile, twice her second",
                    profiles == [None, *[ids[PROFILE]] * 2, *[ids[NEXT_PROFILE]] * 2],
                ),
                Promise("the two healed messages say so", sum(bool(row.healed) for row in rows) == 2),
            ],
        )

    def _ask(self, pupil: str) -> dict[str, Any]:
        self._asked += 1
        reply: dict[str, Any] = self._post(pupil).raise_for_status().json()
        return reply

    def _post(self, pupil: str) -> httpx.Response:
        return self._service.http.post("/chat", json={"user_id": pupil, "message": QUESTION})

    def _until(self, pupil: str, field: str, value: object) -> float:
        def has_it() -> bool:
            fields = self._service.http.get(f"/users/{pupil}/settings").json()["fields"]
            return any(each["field"] == field and each["value"] == value for each in fields)

        return wait(has_it, f"{field} {value!r}")

    def _rows(self) -> list[UsageRecord]:
        with self._stage.connect() as connection:
            return read(connection, Selection(limit=100))[::-1]


def _made_with(text: str, reply: dict[str, Any], wanted: tuple[int, int, str]) -> Promise:
    found = (reply["passages_found"], len(reply["passages_read"]), reply["model"])
    return Promise(text, found == wanted, "{} passages, {} read, {}".format(*found))
