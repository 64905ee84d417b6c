"""Aura's story: a flag and a profile swap its models while it runs, and what does not fit is refused."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from examples.serving import FLAGS_FOLDER, Service, serve
from examples.vendors import OPENROUTER_KEY, ollama, openrouter

from windsock.demo.stage import Stage, wait
from windsock.demo.story import ASSIGN, Promise, Scene, written
from windsock.usage import UsageRecord
from windsock.usage.reading import Selection, read

FLAG = "aura"
MIRROR = ()
INTRODUCTION = (
    "Aura answers with three models: L1 reacts, L2 analyses in the background, L3 answers. The environment, "
    "a flag and the user's profile choose them. Here it runs in a separate process, with one endpoint that "
    "refuses requests as OpenRouter does and one that refuses them as Ollama does."
)
FLAG_FILE = FLAGS_FOLDER / "aura.flagd.json"
MESSAGES = 100


@contextmanager
def running(stage: Stage) -> Iterator["Tale"]:
    """Start the service, for as long as the block lasts."""
    with openrouter() as cloud, ollama("phi-3-mini-4k") as local:
        variables = {
            "DATABASE_URL": stage.url,
            "OPENROUTER_BASE_URL": cloud.url,
            "OPENROUTER_API_KEY": OPENROUTER_KEY,
            "OLLAMA_BASE_URL": local.url,
            "AURA_EMBEDDING_SECONDS": "60",
            "AURA_L1_SECONDS": "10",  # a busy machine is no part of the story
        }
        with serve(Path(__file__).parent / "src", "aura.main:app", variables) as service:
            yield Tale(stage, service)


class Tale:
    """Ada and Ben talk to Aura while its models are swapped."""

    def __init__(self, stage: Stage, service: Service) -> None:
        self._stage, self._service = stage, service
        self._ada, self._ben = str(uuid4()), str(uuid4())

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one."""
        yield self._opening()
        yield self._defaults()
        yield self._preset()
        yield self._under_load()
        yield self._profile()
        yield self._misspelled()
        yield self._dimension()
        yield self._usage_logs()

    def _opening(self) -> Scene:
        self._stage.sql("INSERT INTO profiles (id) VALUES (%s), (%s)", self._ada, self._ben)
        self._stage.sql((Path(__file__).parent / "db/presets.sql").read_text())
        return Scene(
            "PostgreSQL, the mirror, two model endpoints and the service start",
            "No model is named by a variable. The five presets are variants of a flag, and profiles.",
            did=f"windsock {' '.join(self._stage.mirror_arguments)} & uvicorn aura.main:app",
            seen={"service": self._service.url},
        )

    def _defaults(self) -> Scene:
        reply = self._say(self._ada)
        return Scene(
            "No model is configured",
            "The defaults of src/aura/config.py are sensible. The demo itself sets how long L1 and the "
            "embeddings may take.",
            seen={
                "GET /health": self._models(),
                "the log says": "\n".join(self._used()[:3]),
                "Aura": reply["answer"],
            },
            promises=[
                Promise("DeepSeek answers", reply["model"] == "deepseek/deepseek-chat", reply["model"])
            ],
        )

    def _preset(self) -> Scene:
        took = self._switch("budget", "google/gemini-flash-1.5")
        reply = self._say(self._ada)
        return Scene(
            "Somebody makes budget the flag's default variant",
            "A one-line change in Git. The engines read settings.l3_model, and now it is another model.",
            seen={"GET /health": self._models(), "Aura": reply["answer"]},
            milliseconds={"from the written file until the service has it": took},
            promises=[
                Promise("Gemini Flash answers", reply["model"] == "google/gemini-flash-1.5", reply["model"])
            ],
        )

    def _under_load(self) -> Scene:
        def talk(number: int) -> tuple[int, str]:
            if number == MESSAGES // 2:
                self._write("performance")
            reply = self._post(self._ben)
            return reply.status_code, reply.json().get("model", "")

        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(talk, range(MESSAGES)))
        failed = sum(status != httpx.codes.OK for status, _ in replies)
        models = list(dict.fromkeys(model for _, model in replies))
        return Scene(
            f"{MESSAGES} messages, four at a time; in the middle the preset becomes performance",
            "A hot swap that drops a request is a restart by another name.",
            seen={"answered by": ", then ".join(models)},
            promises=[
                Promise("no request failed", failed == 0, f"{failed} of {MESSAGES}"),
                Promise("Claude 3.5 Sonnet took over", models[-1] == "anthropic/claude-3.5-sonnet"),
            ],
        )

    def _profile(self) -> Scene:
        self._stage.sql(ASSIGN, "hybrid", self._ada)
        wait(lambda: "phi-3" in (self._say(self._ada)["instinct"] or ""), "Ada's profile")
        ada, ben = self._say(self._ada), self._say(self._ben)
        return Scene(
            "Ada gets the preset hybrid, as her profile",
            "Her L1 runs on a local Ollama within about 0.1 s of the commit; nobody else's does.",
            did=written(ASSIGN, "hybrid", self._ada),
            seen={"Ada's instinct": ada["instinct"], "Ben's instinct": ben["instinct"]},
            promises=[
                Promise("Ada's L1 is the local Phi-3", ada["instinct"].startswith("phi-3-mini-4k")),
                Promise("Ben's is not", ben["instinct"].startswith("mistralai/")),
            ],
        )

    def _misspelled(self) -> Scene:
        self._switch("default", "deepseek/deepseek-chatt", l3_model="deepseek/deepseek-chatt")
        reply = self._say(self._ben)
        errors = self._service.lines("ERROR windsock.healing")
        return Scene(
            "Somebody misspells the model of L3: deepseek/deepseek-chatt",
            "OpenRouter refuses it. The answer comes from the layer below, in the same request.",
            seen={"Aura": reply["answer"], "the log says": "\n".join(errors[-1:])},
            promises=[
                Promise("DeepSeek answered", reply["model"] == "deepseek/deepseek-chat", reply["model"]),
                Promise("an ERROR names the field", any("AuraSettings.l3_model" in line for line in errors)),
            ],
        )

    def _dimension(self) -> Scene:
        self._write("default", embeddings_dimension=768)
        wait(lambda: self._health()["memory_refuses"] != "", "the refusal")
        reason = self._health()["memory_refuses"]
        status = self._post(self._ben).status_code
        return Scene(
            "Somebody sets embeddings_dimension to 768",
            "The stored vectors have 1536. Comparing the two would return unrelated memories.",
            seen={"GET /health": reason},
            promises=[
                Promise("it is refused with the reason", "does not fit" in reason and "1536" in reason),
                Promise("Ben still gets an answer", status == httpx.codes.OK, str(status)),
            ],
        )

    def _usage_logs(self) -> Scene:
        ((config,),) = self._stage.sql("SELECT id FROM app_configurations WHERE name = 'hybrid'")
        wait(lambda: any(row.config_id == config for row in self._rows()), "Ada's rows")
        rows = self._rows()[:4]
        return Scene(
            "usage_logs has the models, tokens and profile of each message",
            "What a preset costs is a query.",
            did="windsock usage",
            rows=rows,
            names={self._ada: "Ada", self._ben: "Ben", str(config): "hybrid"},
            promises=[
                Promise("each has its tokens", all(row.input_tokens and row.output_tokens for row in rows)),
                Promise("and what it cost", all(row.cost for row in rows), _dollars(rows)),
                Promise("Ada's name her profile", any(row.config_id == config for row in rows)),
            ],
        )

    def _say(self, user: str) -> dict[str, Any]:
        reply: dict[str, Any] = self._post(user).raise_for_status().json()
        return reply

    def _post(self, user: str) -> httpx.Response:
        return self._service.http.post("/chat", json={"user_id": user, "message": "I cannot sleep."})

    def _health(self) -> dict[str, Any]:
        health: dict[str, Any] = self._service.http.get("/health").json()
        return health

    def _models(self) -> str:
        fields = self._health()["models"].items()
        return "\n".join(
            f"{name} = {each['value']}  ({each['layer']}, {each['from']})" for name, each in fields
        )

    def _used(self) -> list[str]:
        return self._service.lines("Using model: ")

    def _switch(self, preset: str, expected: str, **changes: object) -> float:
        """Write another preset; gives the milliseconds until the service has it."""
        self._write(preset, **changes)
        return wait(lambda: self._health()["models"]["l3_model"]["value"] == expected, f"the preset {preset}")

    def _write(self, preset: str, **changes: object) -> None:
        document = json.loads(FLAG_FILE.read_text())
        flag = document["flags"]["aura"]
        flag["defaultVariant"] = preset
        flag["variants"]["default"] = changes
        new = FLAG_FILE.with_suffix(".new")
        new.write_text(json.dumps(document))
        new.replace(FLAG_FILE)

    def _rows(self) -> list[UsageRecord]:
        """The newest rows of Ada, oldest first."""
        with self._stage.connect() as connection:
            return read(connection, Selection(users=[self._ada], limit=100))[::-1][-4:]


def _dollars(rows: Sequence[UsageRecord]) -> str:
    return f"${sum(row.cost or 0 for row in rows):.6f} in all"
