"""The stand-in's whole state."""

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.kie.accounts.account import Account
from sandbox.kie.accounts.accounts import Accounts
from sandbox.kie.accounts.calls import CREATE, READ, Arrival, Calls
from sandbox.kie.callbacks import Courier
from sandbox.kie.faults.faults import CALLBACK_FATES, FATES, Fault
from sandbox.kie.faults.markers import Markers
from sandbox.kie.faults.rules import Rule, load
from sandbox.kie.faults.state_words import STATE_WORDS
from sandbox.kie.faults.switches import Faults, Source
from sandbox.kie.faults.variants import variant_of
from sandbox.kie.options import ProviderOptions, TaskIds
from sandbox.kie.tasks.latency import DurationProfile, log_normal
from sandbox.kie.tasks.ledger import KieLedger, KieTask, digest
from sandbox.kie.tasks.orders import TaskOrder
from sandbox.kie.tasks.served import ServedFiles

__all__ = ["ProviderState"]

_NOTHING_BOUGHT: Final = {"created": 0, "billed": 0.0, "most_creates_in_window": 0}


class ProviderState:
    """The accounts, the calls, the ledger, the faults and the courier of one provider.

    Every call has its own random generator, seeded with the run's seed, the request's content and the number
    of earlier calls with that content. So a seed gives the same fate to the same requests in any order of
    arrival.
    """

    def __init__(
        self, options: ProviderOptions, base_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.options = options
        self.base_url = (options.public_url or base_url).rstrip("/")
        self.now = clock
        self.courier = Courier(options, self.base_url, clock)
        self._durations = DurationProfile(
            median=options.median,
            sigma=options.sigma,
            tail=options.tail,
            tail_seconds=(options.tail_low, options.tail_high),
            fixed=options.duration,
            speed=options.speed,
        )
        self._latencies = {CREATE: options.create_latency, READ: options.read_latency}
        self._begin()

    def _begin(self) -> None:
        self.seed = self.options.seed or secrets.randbits(32)
        self.faults = Faults(load(self.options.faults), self.now)
        self._markers = Markers(self.now)
        self.accounts = Accounts(self.options)
        self.calls = Calls()
        self.ledger = KieLedger(self.options.window_seconds)
        self.files = ServedFiles()
        self._sent: Counter[str] = Counter()
        self._last_id_ms = 0

    async def reset(self) -> None:
        """Restore the state of the start: no tasks or counts, and the initial credits, keys and faults."""
        await self.courier.forget()
        self._begin()

    @property
    def now_ms(self) -> int:
        return int(self.now() * 1000)

    def randomness(self, content: str) -> random.Random:
        """The generator for one call, given its content."""
        self._sent[content] += 1
        return random.Random(f"{self.seed}/{content}/{self._sent[content]}")

    def lasting_randomness(self, content: str) -> random.Random:
        """The generator for a property that all calls with that content share."""
        return random.Random(f"lasting/{self.seed}/{content}")

    def faults_of(self, prompt: Any) -> Source:
        """The faults that a call about this prompt can meet.

        Raises :class:`sandbox.kie.faults.rules.InvalidFault` for a marker that is not understood.
        """
        return self._markers.source(prompt, self.faults)

    def latency(self, endpoint: str, content: str) -> float:
        """The seconds until a call is answered, given its content.

        A separate generator draws them, so that latencies change nothing else in a seeded run.
        """
        median, sigma = self._latencies[endpoint], self.options.latency_sigma
        if not median or not sigma:
            return median
        rng = random.Random(f"latency/{self.seed}/{endpoint}/{content}/{self._sent[content]}")
        return log_normal(median, sigma, rng)

    def arrived(self, endpoint: str, authorization: str | None, task_id: str | None = None) -> Arrival:
        """Log the arrival of a createTask or recordInfo call; limits count the call at this time."""
        return self.calls.arrived(endpoint, self.now(), self.accounts.caller(authorization), task_id)

    def ended(self, arrival: Arrival, outcome: str) -> None:
        """Log a call's outcome: the code of the answer, or the kind of its absence."""
        self.calls.ended(arrival, outcome)
        self.ledger.count(arrival.endpoint, outcome)

    def accept(self, order: TaskOrder, rng: random.Random, account: Account, now: float) -> KieTask:
        """Create a task at ``now``. It exists and is billed even if its caller never learns of it."""
        task_id = self._task_id(rng)
        seconds = self._durations.seconds(order.rendering_speed, rng)
        fate = self._fate(order, rng)
        task = KieTask(
            id=task_id,
            model=order.model,
            input=order.input,
            callback_url=order.callback_url,
            images=order.images,
            credits=order.credits,
            digest=digest(order.model, order.input),
            created_ms=int(now * 1000),
            finish_ms=float("inf") if Fault.STUCK in fate else int((now + seconds) * 1000),
            fate=fate,
            account=account.name,
        )
        if Fault.CALLBACK_EARLY in fate:
            task.finish_ms = task.created_ms
        self.ledger.add(task)
        account.book(order.credits, now, task.finish_ms / 1000, refunded=Fault.TASK_FAIL in fate)
        self.courier.expect(task)
        return task

    def summary(self) -> dict[str, Any]:
        """The ledger's figures: the totals, and each account's under ``accounts``."""
        now = self.now()
        bought = self.ledger.by_account(now * 1000)
        accounts = {
            account.name: {
                **(bought.get(account.name) or _NOTHING_BOUGHT),
                **self.calls.of(account.name, len(account.keys)),
                "running": account.running(now),
                "balance": account.balance(now),
            }
            for account in self.accounts
        }
        return {
            **self.ledger.summary(now * 1000),
            "most_reads_in_second": self.calls.most_reads_in_second,
            "running": sum(account["running"] for account in accounts.values()),
            "balance": sum(account["balance"] for account in accounts.values()),
            "accounts": accounts,
            "seed": self.seed,
            "faults": self.faults.to_json(),
        }

    def _fate(self, order: TaskOrder, rng: random.Random) -> Mapping[Fault, Rule]:
        faults = self.faults_of(order.input["prompt"])
        fate = faults.draw(FATES, rng)
        words = fate.get(Fault.STATE_WORDS)
        if words and not STATE_WORDS[variant_of(Fault.STATE_WORDS, words.variant)]:
            fate.setdefault(Fault.TASK_FAIL, Rule(probability=1.0))
        return fate | faults.draw(CALLBACK_FATES, rng) if order.callback_url else fate

    def _task_id(self, rng: random.Random) -> str:
        digits = f"{rng.getrandbits(128):032x}"
        if self.options.task_ids is TaskIds.HEX:
            return digits
        self._last_id_ms = max(self._last_id_ms + 1, self.now_ms)
        return f"task_ideogram_{self._last_id_ms}"
