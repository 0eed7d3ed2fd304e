"""Running a fleet under faults, and comparing both ledgers at the end."""

import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Final

import redis

from bench.long_run.comparison import Bought, Verdict, bought_by_prompt, read_all, verdict
from bench.long_run.findings import Findings
from bench.long_run.forger import Forger
from bench.long_run.oddities import prompt
from bench.long_run.plan import HMAC_KEY, Kill, Plan
from bench.long_run.rescue import Held, held, standstill
from bench.long_run.watch import Watch
from limner import Limner, StoreUnavailable
from limner._redis import connect
from limner.errors import Cancelled
from limner.job import cancel
from limner.ledger import Ledger
from limner.status import JobState
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import FleetProcess, LocalFleet
from sandbox.local.ports import HOST
from sandbox.local.replication import Replicated
from sandbox.local.valkey import EmbeddedValkey
from tests.copies import Comparison, compare

__all__ = ["long_run"]

TICK: Final = 0.1
BUSY_AFTER_MS: Final = 200
"""Milliseconds of a script after which Valkey answers BUSY; its default is 5 s."""
SCRIPT_PATIENCE: Final = 120.0
"""Seconds for the end of a slow script, which counts the time of its CPU."""
SLOW_SCRIPT: Final = "local over = os.clock() + tonumber(ARGV[1]); while os.clock() < over do end"
REPORT_EVERY: Final = 10.0
PACED: Final = 0.9
"""The share of jobs over which the pace is measured. The last jobs wait for doubts to be resolved."""


def long_run(plan: Plan) -> Findings:
    """Run the plan on a new fleet. Raises FleetError if a worker or the receiver ends by itself."""
    with tempfile.TemporaryDirectory(prefix="limner-copies-") as folder:
        return _long_run(plan, Path(folder))


def _long_run(plan: Plan, folder: Path) -> Findings:
    settings = {**plan.settings, "LIMNER_COPY_TO": folder.as_uri()}
    with ExitStack() as stack:
        servers = None
        if plan.failovers:
            servers = stack.enter_context(Replicated(appendfsync="always"))
            settings["LIMNER_REDIS_URL"] = servers.service_url
        fleet = LocalFleet(
            workers=plan.workers,
            callbacks=True,
            settings=settings,
            provider=SandboxProvider(faults=plan.faults, hmac_key=HMAC_KEY, **plan.provider),
            valkey=None if servers else EmbeddedValkey(aof=True, appendfsync="always"),
            log_level="DEBUG",  # bench.long_run.rescue reads the start and end of each step
        )
        stack.enter_context(fleet)
        limner = stack.enter_context(Limner(fleet.redis_url))
        submitter = stack.enter_context(ThreadPoolExecutor(1))
        run = _Run(plan, fleet, folder, servers)
        run.watch.start()
        run.forger.start()
        try:
            submitting = submitter.submit(run.submit, limner)
            run.drive(submitting.done)
            submitting.result()
            return run.findings(*run.compare())
        finally:
            run.stop()


class _Run:
    def __init__(self, plan: Plan, fleet: LocalFleet, folder: Path, servers: Replicated | None) -> None:
        assert fleet.provider
        self.plan, self._folder, self._servers = plan, folder, servers
        self.fleet, self.provider = fleet, fleet.provider
        self.watch = Watch(fleet.redis_url)
        self.forger = Forger(fleet.environment["LIMNER_CALLBACK_URL"], plan.seed)
        self.job_ids: list[str] = self.forger.known
        self._stopped = False
        self._pace = 0.0
        self._client = connect(fleet.redis_url, timeout=30.0)
        self._ledger = Ledger(self._client)
        self._rng = random.Random(plan.seed)
        self._outages: defaultdict[Kill, list[float]] = defaultdict(list)
        self._held: list[Held] = []
        self._killed: set[int] = set()
        self._to_cancel: set[str] = set()

    def submit(self, limner: Limner) -> None:
        """Keep jobs outstanding, and resubmit those that a killed Valkey may have lost."""
        plan = self.plan
        for start in range(0, plan.jobs, plan.wave):
            numbers = range(start, min(start + plan.wave, plan.jobs))
            while len(self.job_ids) - len(self.watch.ended) > plan.outstanding - plan.wave:
                time.sleep(TICK)
                if self._stopped:
                    return
            while not self._stopped:
                try:
                    jobs = limner.submit_many(
                        [prompt(number, plan.seed) for number in numbers],
                        idempotency_keys=[str(number) for number in numbers],
                    )
                except StoreUnavailable:
                    time.sleep(TICK)
                else:
                    self.job_ids.extend(job.id for job in jobs)
                    self._to_cancel |= {
                        job.id
                        for number, job in zip(numbers, jobs, strict=True)
                        if number % plan.jobs_between_cancels == 0
                    }
                    break

    def drive(self, submitted: Callable[[], bool]) -> None:
        """Kill and restart processes until all jobs have ended, or none has within ``stall``."""
        plan, kills = self.plan, self.plan.kills()
        began = reported = moved = time.monotonic()
        ended, next_kill = 0, plan.jobs_between_kills
        while not (submitted() and ended >= len(self.job_ids)):
            if next_kill <= ended < plan.jobs:
                self._strike(next(kills))
                next_kill += plan.jobs_between_kills
            self._check()
            self._cancel()
            time.sleep(TICK)
            now, before, ended = time.monotonic(), ended, len(self.watch.ended)
            moved = now if ended > before else moved
            if before < PACED * plan.jobs <= ended:
                self._pace = ended / (now - began)
            if now - moved > plan.stall:
                self._stopped = True  # the remaining jobs count as lost
                return
            if now - reported > REPORT_EVERY:
                reported = now
                rate, killed = ended / (now - began), sum(map(len, self._outages.values()))
                print(f"{ended} of {plan.jobs} ended, {rate:.0f}/s, {killed} SIGKILLs", file=sys.stderr)

    def _cancel(self) -> None:
        """Cancel the chosen jobs as soon as they have a task: while it runs, or its images are copied."""
        for job_id in self._to_cancel & self.watch.accepted:
            try:
                cancel(self._ledger, job_id)
            except StoreUnavailable:
                return
            self._to_cancel.discard(job_id)

    def stop(self) -> None:
        """End the threads, and close the connections."""
        self._stopped = True
        self.forger.stop()
        self.watch.stop()
        self._client.close()

    def compare(self) -> tuple[dict[str, Verdict], dict[str, list[Bought]]]:
        """Compare the ledgers, and for a while repeat that for jobs whose verdict may still improve."""
        deadline = time.monotonic() + self.plan.final_wait
        while self.provider.summary()["running"] and time.monotonic() < deadline:
            time.sleep(TICK)
        by_prompt = bought_by_prompt(self.provider.ledger())
        prompts = (prompt(number, self.plan.seed) for number in range(len(self.job_ids)))
        bought = {job_id: by_prompt.get(text, []) for text, job_id in zip(prompts, self.job_ids, strict=True)}
        verdicts: dict[str, Verdict] = {}
        pending = list(self.job_ids)
        while True:
            for job_id, entry in read_all(self._ledger, self._client, pending):
                verdicts[job_id] = verdict(entry, bought[job_id])
            pending = [job_id for job_id in pending if verdicts[job_id].pending]
            if not pending or time.monotonic() > deadline:
                return verdicts, bought
            time.sleep(1.0)

    def findings(self, verdicts: dict[str, Verdict], bought: dict[str, list[Bought]]) -> Findings:
        """The findings from both ledgers."""
        in_dead_hands = {step.job_id for step in self._held}
        lost_answers = [
            (job_id, task)
            for job_id, tasks in bought.items()
            for task in tasks
            if not task.answered or (job_id in in_dead_hands and task.id not in self.watch.named)
        ]
        adopted = [(job_id, task) for job_id, task in lost_answers if task not in verdicts[job_id].unknown]
        stood = [standstill(step, self._ledger.journal.log(step.job_id)) for step in self._held]

        images, copies = self._images(verdicts, bought)

        def jobs_with(flag: Callable[[Verdict], object]) -> frozenset[str]:
            return frozenset(job_id for job_id, verdict in verdicts.items() if flag(verdict))

        return Findings(
            jobs=len(self.job_ids),
            pace=self._pace,
            outcomes=Counter(verdict.outcome for verdict in verdicts.values()),
            lost=jobs_with(lambda verdict: verdict.lost),
            double_billed=jobs_with(lambda verdict: verdict.double_billed),
            deceived=jobs_with(lambda verdict: verdict.deceived),
            beyond=jobs_with(lambda verdict: verdict.beyond),
            off_the_books=jobs_with(lambda verdict: verdict.off_the_books),
            faulted=jobs_with(lambda verdict: verdict.faulted),
            remade=jobs_with(lambda verdict: verdict.remade),
            charged=Decimal(str(self.provider.summary()["billed"])),
            booked=self._booked(),
            pauses=self.watch.pauses,
            lost_answers=len(lost_answers),
            adopted=len(adopted),
            lost_answers_called_back=sum(not task.withheld for _, task in lost_answers),
            adopted_called_back=sum(not task.withheld for _, task in adopted),
            missed=jobs_with(lambda verdict: verdict.missed),
            unknown_billed=sum(task.billed for verdict in verdicts.values() for task in verdict.unknown),
            undelivered=jobs_with(lambda verdict: verdict.undelivered),
            unfinished=jobs_with(lambda verdict: verdict.unfinished),
            wrong=jobs_with(lambda verdict: verdict.wrong),
            deluded=jobs_with(lambda verdict: verdict.deluded),
            images=images,
            copies=copies,
            forged=self.forger.sent,
            outages=self._outages,
            held=len(self._held),
            rescues=[seconds for seconds in stood if seconds is not None],
            callbacks=self._ledger.journal.callback_counts(),
        )

    def _images(
        self, verdicts: Mapping[str, Verdict], bought: Mapping[str, list[Bought]]
    ) -> tuple[Counter[str], Comparison]:
        """The paid images by the ends of their jobs, and the comparison of the folder with them."""
        kinds: dict[str, str] = {}
        for job_id, found in verdicts.items():
            paid = [task for task in bought[job_id] if task.billed and task not in found.unknown]
            kinds |= {task.id: _kind(found, len(paid)) for task in paid}
        files = [file for file in self.provider.files() if file["task_id"] in kinds]
        copies = (copy for found in verdicts.values() for copy in found.copies)
        return Counter(kinds[file["task_id"]] for file in files), compare(self._folder, copies, files)

    def _booked(self) -> Decimal:
        with Limner(self.fleet.redis_url) as limner:
            books = limner.spend(2)
        return sum((day.spent for day in books.days), books.standing.held + books.standing.doubtful)

    def _strike(self, kill: Kill) -> None:
        began = time.monotonic()
        match kill:
            case Kill.WORKER:
                self._kill_worker()
            case Kill.RECEIVER:
                self.fleet.kill_callbacks()
                self.fleet.start_callbacks()
            case Kill.VALKEY:
                assert self.fleet.valkey
                self.fleet.valkey.kill()
                self.fleet.valkey.restart()
            case Kill.FAILOVER:
                assert self._servers
                self._servers.fail_over()
            case Kill.BUSY:
                self._keep_busy()
        self._outages[kill].append(time.monotonic() - began)

    def _keep_busy(self) -> None:
        assert self._servers
        server = self._servers.primary
        with redis.Redis(
            host=HOST, port=server.port, password=server.password, socket_timeout=SCRIPT_PATIENCE
        ) as client:
            client.config_set("busy-reply-threshold", BUSY_AFTER_MS)
            client.eval(SLOW_SCRIPT, 0, str(self.plan.busy))

    def _kill_worker(self) -> None:
        index = self._rng.choice([index for index, _ in self._living()])
        worker = self.fleet.workers[index]
        self._killed.add(index)
        at = time.time()
        self.fleet.kill_worker(index)
        self._held.extend(held(worker.log, at))
        self.fleet.start_worker()

    def _living(self) -> list[tuple[int, FleetProcess]]:
        return [(i, worker) for i, worker in enumerate(self.fleet.workers) if i not in self._killed]

    def _check(self) -> None:
        for process in [*(worker for _, worker in self._living()), *filter(None, [self.fleet.callbacks])]:
            process.check()


def _kind(found: Verdict, paid_tasks: int) -> str:
    if found.outcome == Cancelled.__name__:
        return "cancelled jobs"
    if found.outcome != JobState.SUCCEEDED:
        return "failed jobs"
    return "jobs with several paid tasks" if paid_tasks > 1 else "jobs with one paid task"
