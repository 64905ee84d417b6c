"""The AI Teacher's story: that of `windsock demo`, over HTTP, with what this service has besides: wallets."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from examples.serving import Service, serve

from windsock.demo.stage import Stage, wait
from windsock.demo.story import Message, Promise, Scene, Story, written

FLAG = "teacher"
MIRROR = ()
INTRODUCTION = (
    "The AI Teacher is a FastAPI service with a langgraph agent. It checks a pupil's wallet, reads the "
    "pupil's settings, searches a small corpus and asks a model. Here it runs in a separate process and is "
    "asked over HTTP."
)
QUESTION = "Why is the sky blue?"
EMPTY = "UPDATE wallets SET balance = 0 WHERE user_id = %s"


@contextmanager
def running(stage: Stage) -> Iterator["Tale"]:
    """Start the service, for as long as the block lasts."""
    variables = {"DATABASE_URL": stage.url, "OPENAI_BASE_URL": stage.endpoint.url, "OPENAI_API_KEY": "none"}
    with serve(Path(__file__).parent, "app.main:app", variables) as service:
        yield Tale(stage, service)


@dataclass(frozen=True, slots=True)
class OverHttp:
    """The service as its callers see it."""

    service: Service

    def ask(self, user: str) -> Message:
        """Send one message of a pupil; what it was answered with is what the answer says."""
        began = time.perf_counter()
        reply = self.post(user).raise_for_status().json()
        took = (time.perf_counter() - began) * 1000
        fields = self._fields(user)
        used = {field["field"]: field["value"] for field in fields} | {
            "retrieval_top_k": reply["passages_found"],
            "rerank_top_n": len(reply["passages_read"]),
        }
        explanation = "\n".join(f"{each['field']} = {each['value']}  ({each['layer']})" for each in fields)
        return Message(used, reply["model"], reply["answer"], explanation, took)

    def value(self, user: str, name: str) -> object:
        """Give the value that the pupil's next message would use."""
        return next(each["value"] for each in self._fields(user) if each["field"] == name)

    def log(self) -> Sequence[str]:
        """Give the service's warnings and errors."""
        return [line for line in self.service.lines("") if line.startswith(("WARNING", "ERROR"))]

    def reading(self, user: str) -> Mapping[str, float]:  # noqa: ARG002 - the story asks for it
        """Give nothing: it cannot be told from the rest of a request."""
        return {}

    def post(self, user: str) -> httpx.Response:
        """Send one message, whatever the answer."""
        return self.service.http.post("/chat", json={"user_id": user, "message": QUESTION})

    def _fields(self, user: str) -> list[dict[str, Any]]:
        fields: list[dict[str, Any]] = self.service.http.get(f"/users/{user}/settings").json()["fields"]
        return fields


class Tale(Story):
    """The pupils Ada and Ben, each with a full wallet."""

    def __init__(self, stage: Stage, service: Service) -> None:
        self._http = OverHttp(service)
        super().__init__(stage, self._http)

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one."""
        *steps, usage_logs = self.steps()
        for step in steps:
            yield step()
        yield self._empty_wallet()
        yield usage_logs()

    def _opening(self) -> Scene:
        step = super()._opening()
        for pupil in (self._ada, self._ben):
            self._stage.sql("INSERT INTO wallets (user_id, balance) VALUES (%s, 100)", pupil)
        ids = {"service": self._http.service.url, "Ada": self._ada, "Ben": self._ben}
        return replace(step, did=f"{step.did} & uvicorn app.main:app", seen=ids | dict(step.seen))

    def _misspelled_model(self) -> Scene:
        step = super()._misspelled_model()
        lines = self._http.service.lines("Config parameter gpt-4oo failed")
        logged = Promise(
            "the service's own ERROR names the parameter and the fallback",
            any("ERROR" in line and line.endswith("Falling back to default.") for line in lines),
        )
        return replace(step, promises=[*step.promises, logged])

    def _usage_logs(self) -> Scene:
        step = super()._usage_logs()
        costs = [row.cost for row in step.rows if row.cost]
        found = f"${sum(costs):.6f} in all" if costs else ""
        paid = Promise("and what it cost", len(costs) == len(step.rows), found)
        return replace(step, promises=[*step.promises, paid])

    def _empty_wallet(self) -> Scene:
        self._stage.sql(EMPTY, self._ben)
        wait(lambda: self._http.post(self._ben).status_code == httpx.codes.PAYMENT_REQUIRED, "the refusal")
        refused = self._http.post(self._ben)
        return Scene(
            "Ben's wallet is empty",
            "initialize_session checks the wallet first: no configuration is read, no model is asked.",
            did=written(EMPTY, self._ben),
            seen={"the service says": f"{refused.status_code} {refused.json()['detail']}"},
            promises=[Promise("Ben is refused", refused.status_code == httpx.codes.PAYMENT_REQUIRED)],
        )
