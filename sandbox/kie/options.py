"""The stand-in's options, which the command line and ``SandboxProvider`` share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import load
from sandbox.kie.faults.switches import Faults
from sandbox.kie.limits.holders import key_holders
from sandbox.kie.limits.windows import Window

__all__ = ["CostTime", "FileSize", "NoData", "ProviderOptions", "RunningWords", "TaskIds"]


class TaskIds(StrEnum):
    """The two forms of a task id: the observed one and the documented one (contract 1.2)."""

    HEX = "hex"
    IDEOGRAM = "ideogram"


class NoData(StrEnum):
    """The ``data`` of an error's envelope (contract 1.4)."""

    NULL = "null"
    ABSENT = "absent"


class CostTime(StrEnum):
    """The unit of ``costTime``: seconds as observed, milliseconds as documented (contract 2.1)."""

    SECONDS = "s"
    MILLISECONDS = "ms"


class RunningWords(StrEnum):
    """The words of the refusal while too many tasks of an account run (contract 10)."""

    SAME = "same"
    """The words of the refusal for too high a rate."""
    NAMED = "named"


class FileSize(StrEnum):
    """The size of result files."""

    REAL = "real"
    """The prompt, drawn as large as it was asked for."""
    SMALL = "small"
    """64 x 64 pixels, for runs with many files."""
    LARGE = "large"
    """About 1 MB if it is a PNG."""


@dataclass(frozen=True)
class ProviderOptions:
    """The options. Every field is also an option of ``python -m sandbox provider``."""

    host: str = field(default="127.0.0.1", metadata={"help": "The address to listen on."})
    port: int = field(default=0, metadata={"help": "0 takes a free one, and prints it."})
    public_url: str = field(
        default="", metadata={"help": "The start of result URLs, if not the address listened on."}
    )
    keys: str = field(default="sandbox-key", metadata={"help": "Accepted API keys, separated by commas."})
    accounts: str = field(
        default="", metadata={"help": "In place of keys, several accounts: north=key-1+key-2,south=key-3"}
    )
    credits: float = field(default=1_000_000.0, metadata={"help": "The credits of each account at start."})
    creates: int = field(
        default=20, metadata={"help": "createTask calls per window and account; 0: no limit."}
    )
    window_seconds: float = field(default=10.0, metadata={"help": "The window's length. Never sped up."})
    window: Window = field(default=Window.SLIDING, metadata={"help": "How the window counts."})
    reads: int = field(default=10, metadata={"help": "recordInfo calls per second and key; 0: no limit."})
    max_running: int = field(default=0, metadata={"help": "Tasks of an account at once; 0: no limit."})
    running_words: RunningWords = field(
        default=RunningWords.SAME, metadata={"help": "Words of the refusal for max_running."}
    )
    speed: float = field(
        default=1.0, metadata={"help": "Divides every duration of the provider: generation, files, retries."}
    )
    duration: float = field(
        default=0.0, metadata={"help": "Every task takes this many seconds; 0: as long as the real ones."}
    )
    median: float = field(
        default=0.0, metadata={"help": "The durations' median in seconds; 0: by rendering speed."}
    )
    sigma: float = field(default=0.3, metadata={"help": "The spread of the log-normal durations."})
    tail: float = field(default=0.01, metadata={"help": "The share of tasks that take much longer."})
    tail_low: float = field(default=120.0, metadata={"help": "The seconds that those take at least."})
    tail_high: float = field(default=600.0, metadata={"help": "The seconds that those take at most."})
    create_latency: float = field(
        default=0.0, metadata={"help": "The median seconds of a createTask answer. Never sped up."}
    )
    read_latency: float = field(
        default=0.0, metadata={"help": "The median seconds of a recordInfo answer. Never sped up."}
    )
    latency_sigma: float = field(default=0.0, metadata={"help": "The log-normal spread of both."})
    seed: int = field(default=0, metadata={"help": "Reproduces a run; 0: another run every time."})
    task_ids: TaskIds = field(default=TaskIds.HEX, metadata={"help": "The form of task ids."})
    http_status: float = field(
        default=0.0, metadata={"help": "The share of errors with a real HTTP status; the rest come as 200."}
    )
    message_key: str = field(default="msg", metadata={"help": "The envelope's text: msg or message."})
    no_data: NoData = field(default=NoData.NULL, metadata={"help": "What errors do with data."})
    cost_time: CostTime = field(default=CostTime.SECONDS, metadata={"help": "The unit of costTime."})
    file_seconds: float = field(default=86_400.0, metadata={"help": "How long results can be fetched."})
    file_size: FileSize = field(
        default=FileSize.REAL, metadata={"help": "Small and large files cost no time, and show no prompt."}
    )
    hmac_key: str = field(default="", metadata={"help": "Signs callbacks; empty: they are not signed."})
    callback_timeout: float = field(default=15.0, metadata={"help": "Seconds that a receiver may take."})
    callback_retries: int = field(default=3, metadata={"help": "After a first delivery that failed."})
    callback_spacing: float = field(
        default=2.0, metadata={"help": "Seconds before the first retry; doubles with each."}
    )
    faults: str = field(default="", metadata={"help": "Faults as JSON, or the name of a file with it."})

    def __post_init__(self) -> None:
        """Check the options. Raises :class:`ValueError`, which names the invalid option or fault."""
        for name in ("speed", "window_seconds", "callback_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: must be above 0")
        for name in ("tail", "http_status"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: must be from 0 to 1")
        for name in ("median", "tail_low", "create_latency", "read_latency", "latency_sigma"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must not be negative")
        if self.tail_high < self.tail_low:
            raise ValueError("tail_high: must not be below tail_low")
        key_holders(self.accounts, self.keys)
        if Fault.UNREACHABLE in Faults(load(self.faults)).to_json():
            raise ValueError(f"faults: {Fault.UNREACHABLE} can be switched on at run time only")

    @property
    def key_holders(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of each account by its name. With ``accounts``, ``keys`` is ignored."""
        return key_holders(self.accounts, self.keys)

    @property
    def accepted_keys(self) -> frozenset[str]:
        """The keys of all accounts."""
        return frozenset(key for keys in self.key_holders.values() for key in keys)

    def arguments(self) -> list[str]:
        """The command line for these options, without those at their defaults."""
        return [
            part
            for option in fields(self)
            if (value := getattr(self, option.name)) != option.default
            for part in (f"--{option.name.replace('_', '-')}", str(value))
        ]
