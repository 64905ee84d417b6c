"""The ad learning system's story: its configuration changes over HTTP while every process goes by it."""

import json
import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx

from windsock.demo.stage import Stage, wait
from windsock.demo.story import Promise, Scene

from .demo_system import FLAG_FILE, PATH, System

FLAG = "learning"
MIRROR = (
    "--learning-config", "learning", "--units", "learning:campaigns",
    "--settings", "examples.ad_learning.settings:Learning",
)  # fmt: skip
INTRODUCTION = (
    "Ad learning finds winning ads, learns from them and changes budgets. All its numbers are in one flag. "
    "Two services, a learning worker, two executors and a Celery worker follow them, each in a separate "
    "process, and so does a trigger in PostgreSQL."
)
MISTYPED = {"winner_detection": {"ctr_threshold": 5}}
STRICTER = {"ctr_threshold": 0.05, "roas_threshold": 4.0, "require_both": True, "min_impressions": 5000}
TWO_ADS = """\
INSERT INTO ads (ad_id, campaign_id, ctr, impressions, raw_data, created_at)
VALUES ('spring', 'c0', 0.06, 6000, '{"roas": 4.5}', now() - interval '2 days'),
       ('autumn', 'c1', 0.04, 6000, '{"roas": 4.5}', now() - interval '2 days')"""
TWENTY_CHANGES = """\
WITH old AS (
    INSERT INTO ads (ad_id, campaign_id)
    SELECT 'old ' || n, 'k' || n FROM generate_series(1, 20) AS n
    RETURNING ad_id
)
INSERT INTO pending_jobs (job_type, payload)
SELECT 'budget_change', jsonb_build_object('ad_id', ad_id, 'change_pct', 30) FROM old"""
AUDIT = "SELECT actor, changed FROM windsock.configuration_audit WHERE written_at IS NOT NULL ORDER BY id"


@contextmanager
def running(stage: Stage) -> Iterator["Tale"]:
    """Start the services and the workers, for as long as the block lasts."""
    with ExitStack() as stack:
        yield Tale(stage, System(stage, stack))


class Tale:
    """Ann, an administrator, changes the configuration; Rob may only read it."""

    def __init__(self, stage: Stage, system: System) -> None:
        self._stage, self._system = stage, system

    def tell(self) -> Iterator[Scene]:
        """Run the steps one by one."""
        yield self._opening()
        yield self._defaults()
        yield self._stricter()
        yield self._again_and_again()
        yield self._refusals()
        yield self._restart()
        yield self._faster_cycles()
        yield self._budgets()
        yield self._models()
        yield self._disabled()
        yield self._audit()

    def _opening(self) -> Scene:
        ((tables,),) = self._system.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        return Scene(
            "PostgreSQL, the mirror, two services, a learning worker and a Celery worker start",
            "Celery's queue is in PostgreSQL too. The mirror writes the flag's values into learning_config.",
            did=f"windsock {' '.join(self._stage.mirror_arguments)}",
            seen={
                "service": self._system.service.url,
                "second service": self._system.second.url,
                "database": f"{tables} tables",
            },
        )

    def _defaults(self) -> Scene:
        found = self._system.winner_everywhere()
        thresholds = self._system.get().json()["winner_detection"]
        return Scene(
            "Is an ad with 4 % clicks, shown 6,000 times, a winner?",
            "One rule, in Python and in SQL, by the numbers of the file.",
            did=f"curl {PATH}",
            seen={"winner_detection": _short(thresholds)},
            promises=[Promise("both services and SQL say yes", set(found.values()) == {True}, _short(found))],
        )

    def _stricter(self) -> Scene:
        answer = self._system.put({"winner_detection": STRICTER}).json()
        wait(lambda: not any(self._system.winner_everywhere().values()), "the stricter criteria")
        found = self._system.winner_everywhere()
        self._stage.sql(TWO_ADS)
        queued = self._system.rows("SELECT payload ->> 'ad_id' FROM pending_jobs")
        return Scene(
            "Ann makes the criteria stricter, through the API; then two ads come in",
            "Merged, validated, linted, audited, written to the file that Git holds. Nothing is restarted.",
            did=_curl({"winner_detection": STRICTER}),
            seen={"the API answers": f"{answer['status']}, {_short(answer['config']['winner_detection'])}"},
            promises=[
                Promise("both services and SQL no longer call the ad a winner", not any(found.values())),
                Promise(
                    "the trigger queues the ad with 6 % clicks and not the one with 4 %",
                    queued == [("spring",)],
                    ", ".join(ad for (ad,) in queued),
                ),
            ],
        )

    def _again_and_again(self) -> Scene:
        taken = [self._system.timed(thousandths / 1000) for thousandths in range(52, 62, 2)]
        in_service, in_sql = zip(*taken, strict=True)
        return Scene(
            "Ann changes the click threshold five times: 0.052, 0.054, … 0.06",
            "Tuning is a loop of changing and looking.",
            did=_curl({"winner_detection": {"ctr_threshold": 0.06}}),
            milliseconds={
                "from the request until the other service has it, median": statistics.median(in_service),
                "the slowest": max(in_service),
                "from the request until SQL has it, median": statistics.median(in_sql),
                "the slowest in SQL": max(in_sql),
            },
            promises=[
                Promise("in the end all of them have the last one", self._system.thresholds() == {0.06}),
            ],
        )

    def _refusals(self) -> Scene:
        before = FLAG_FILE.read_bytes()
        old = self._system.get().headers["ETag"]
        colleague = self._system.put({"auto_promoter": {"max_promotions_per_cycle": 4}})
        written = FLAG_FILE.read_bytes()
        stale = self._system.put({"auto_promoter": {"budget_increase_pct": 5}}, {"If-Match": old})
        invalid = self._system.put(MISTYPED)
        reader = self._system.put({"feature_flags": {"auto_promoter": False}}, self._system.rob)
        pointers = [each["pointer"] for each in invalid.json()["detail"]]
        return Scene(
            "Ann saves a page that a colleague has changed meanwhile, then mistypes; Rob tries too",
            "What is refused is not written, and the answer says which field it is about.",
            did=_curl(MISTYPED),
            seen={
                "to the old page": _said(stale),
                "to the mistyped change": _said(invalid),
                "to Rob": _said(reader),
            },
            promises=[
                Promise("the old page is refused with 412 and the newest ETag", _is_stale(stale, colleague)),
                Promise(
                    "the mistyped change is refused with 422 and a pointer",
                    invalid.status_code == 422 and pointers == ["/winner_detection/ctr_threshold"],
                    ", ".join(pointers),
                ),
                Promise("a reader's token is refused with 403", reader.status_code == 403),
                Promise(
                    "the file has the colleague's change alone", before != written == FLAG_FILE.read_bytes()
                ),
            ],
        )

    def _restart(self) -> Scene:
        self._system.restart_second()
        edited = FLAG_FILE.read_text().replace('"min_hours_live": 24', '"min_hours_live": 48')
        FLAG_FILE.write_text(edited)
        reloaded = self._system.service.http.post(f"{PATH}/reload", headers=self._system.ann).json()
        thresholds = self._system.get(self._system.second).json()["winner_detection"]
        return Scene(
            "The second service is restarted; somebody edits the file by hand and asks for a reload",
            "The API's changes are in the file, so a new process begins with them.",
            did=f"curl -X POST {PATH}/reload",
            seen={"the API answers": reloaded["status"]},
            promises=[
                Promise(
                    "the restarted service follows Ann's criteria",
                    thresholds["ctr_threshold"] == 0.06 and thresholds["require_both"],
                    _short(thresholds),
                ),
                Promise(
                    "the edit is in force",
                    reloaded["config"]["winner_detection"]["min_hours_live"] == 48,
                ),
            ],
        )

    def _faster_cycles(self) -> Scene:
        wait(lambda: self._system.cycles() > 0, "the first cycle")
        before = self._system.cycles()
        faster = {"environments": {"development": {"self_learning_cycle": {"interval_seconds": 1}}}}
        answer = self._system.put(faster).json()
        took = wait(lambda: self._system.cycles() >= before + 2, "two more cycles")
        wait(lambda: self._system.rows("SELECT ad_id FROM winner_index") != [], "the winner's index")
        similar = self._system.similar("c0 flowers")
        return Scene(
            "Cycles of a second instead of a minute, for development alone",
            "The worker was in the middle of its minute. Of its seven loops one indexes winners.",
            did=_curl(faster),
            seen={"the worker's log says": "\n".join(self._system.learner.lines("before next cycle")[-2:])},
            milliseconds={"from the answer until two more cycles have run": took},
            promises=[
                Promise(
                    "the worker took the new interval while it waited", self._system.cycles() >= before + 2
                ),
                Promise(
                    "production keeps its hour",
                    answer["config"]["self_learning_cycle"]["interval_seconds"] == 3600,
                ),
                Promise(
                    "the winning ad is indexed, and found by likeness", similar == ["spring"], str(similar)
                ),
            ],
        )

    def _budgets(self) -> Scene:
        change = {"safe_executor": {"poll_interval_ms": 50, "jitter": {"min_ms": 50, "max_ms": 150}}}
        self._system.put(change)
        self._stage.sql(TWENTY_CHANGES)
        with (
            self._system.worker("safe_executor", "executor", log="one") as one,
            self._system.worker("safe_executor", "executor", log="two") as two,
        ):
            wait(lambda: self._system.actions() >= 15, "fifteen actions")
            shares = [len(worker.lines("budget")) for worker in (one, two)]
        fifteen = self._system.actions()
        limit = {"safe_executor": {"rate_limiting": {"max_actions_per_hour": 18}}}
        with self._system.worker("safe_executor", "executor", log="three"):
            self._system.put(limit)
            wait(lambda: self._system.actions() >= 18, "three more actions")
        moved = [after / before for _, before, after in self._system.platform.changes]
        return Scene(
            "Twenty budget changes wait; two executors share them and stop, then a third one starts",
            "At most 15 an hour, no budget by more than 20 % in six hours: counted in the database, so that "
            "neither a second worker nor a restart gets around it.",
            did=_curl(limit),
            seen={
                "the executors' shares": " and ".join(map(str, shares)),
                "the ad platform was asked for": f"{len(moved)} budgets, at most {max(moved) - 1:+.1%}",
            },
            promises=[
                Promise("two workers stop at 15 together", fifteen == 15, str(fifteen)),
                Promise("30 % was asked for, no budget moved by more than 20 %", max(moved) <= 1.2),
                Promise("with the limit at 18, another worker does 3 more", self._system.actions() == 18),
            ],
        )

    def _models(self) -> Scene:
        wait(lambda: self._system.training.process.poll() is not None, "the training")
        won = self._system.evaluate()
        self._system.put({"feature_flags": {"champion_challenger": False}})
        off = self._system.evaluate()
        metrics = won["metrics"]
        return Scene(
            "A newly trained model challenges the champion, as a Celery task",
            "Both predict the same held-out rows; four criteria of the flag decide.",
            did="python -m examples.ad_learning.train && celery -A examples.ad_learning.tasks worker",
            seen={
                "accuracy": f"{metrics['champion_accuracy']:.1%}, then {metrics['challenger_accuracy']:.1%}"
            },
            promises=[
                Promise(
                    "the challenger is promoted",
                    won["status"] == "promoted",
                    f"of {metrics['samples']} rows",
                ),
                Promise(
                    "with champion_challenger off, the task says disabled", off == {"status": "disabled"}
                ),
            ],
        )

    def _disabled(self) -> Scene:
        features = {"rag_auto_indexing": False, "auto_promoter": False}
        self._system.put({"winner_detection": {"ctr_threshold": 0.03}, "feature_flags": features})
        wait(lambda: not any(self._system.winner_everywhere().values()), "the feature's end")
        cycles = self._system.cycles()
        wait(lambda: self._system.cycles() > cycles, "another cycle")
        found = self._system.winner_everywhere()
        return Scene(
            "Ann switches features off",
            "Loose criteria, and yet nothing is a winner. The learning cycle runs on.",
            did=_curl({"feature_flags": features}),
            promises=[
                Promise("both services and SQL find no winner", not any(found.values()), _short(found)),
                Promise("the learning cycle runs on", cycles < self._system.cycles()),
            ],
        )

    def _audit(self) -> Scene:
        rows = self._system.rows(AUDIT)
        lines = [f"{actor} {_short(changed)}" for actor, changed in rows if len(changed) < 3]
        return Scene(
            "Who changed what is in the audit",
            "One row for each write, with every value before and after.",
            did=AUDIT,
            seen={"among them": "\n".join(lines)},
            promises=[
                Promise(
                    "each change that was answered with 200 has its row, and no other",
                    len(rows) == self._system.changes and {actor for actor, *_ in rows} == {"ann"},
                    f"{len(rows)} rows",
                ),
                Promise(
                    "the service's own role in the database may not take a row away",
                    not self._system.may("api", "DELETE FROM windsock.configuration_audit"),
                ),
                Promise(
                    "nor may the executor's forget what it has done",
                    not self._system.may("executor", "UPDATE executor_actions SET executed_at = 'epoch'"),
                ),
            ],
        )


def _is_stale(answer: httpx.Response, newest: httpx.Response) -> bool:
    return answer.status_code == 412 and answer.headers["ETag"] == newest.headers["ETag"]


def _curl(change: object) -> str:
    return f"curl -X PUT {PATH} -d '{json.dumps(change)}'"


def _said(answer: httpx.Response) -> str:
    detail = answer.json()["detail"]
    lines = (
        [f"{each['pointer']}: {each['message']}" for each in detail] if isinstance(detail, list) else [detail]
    )
    return "\n".join([f"{answer.status_code} {lines[0]}", *lines[1:]])


def _short(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
