"""The server's own statistics: commands, time in scripts, and CPU.

The server counts a command that a script calls like one that a client sends. It also counts the script itself
as ``evalsha``, with the time of all its calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SCRIPTS: Final = frozenset({"evalsha", "eval"})
OVERHEAD: Final = frozenset(
    {"info", "config", "script", "client", "auth", "hello", "select", "ping", "command", "readonly"}
)
"""The commands of connecting and measuring."""


@dataclass(frozen=True)
class Stats:
    """Counts since the server's start, or between two moments. Times are in seconds."""

    calls: Mapping[str, int]
    scripts: int
    script_seconds: float
    cpu: float
    """User and system time of the whole process, including the thread that writes the append-only file."""

    @classmethod
    def read(cls, client: Any) -> "Stats":
        """Read the server's own figures. Their CPU time is finer than the OS' ticks of 10 ms."""
        statistics, cpu = client.info("commandstats"), client.info("cpu")
        calls: dict[str, int] = {}
        scripts, microseconds = 0, 0
        for name, counted in statistics.items():
            command = name.removeprefix("cmdstat_").partition("|")[0]
            if command in SCRIPTS:
                scripts += counted["calls"]
                microseconds += counted["usec"]
            elif command not in OVERHEAD:
                calls[command] = calls.get(command, 0) + counted["calls"]
        return cls(calls, scripts, microseconds / 1e6, cpu["used_cpu_user"] + cpu["used_cpu_sys"])

    def since(self, before: "Stats") -> "Stats":
        """The difference of two readings."""
        return Stats(
            {name: count - before.calls.get(name, 0) for name, count in self.calls.items()},
            self.scripts - before.scripts,
            self.script_seconds - before.script_seconds,
            self.cpu - before.cpu,
        )

    @property
    def commands(self) -> int:
        """The number of commands that scripts call and clients send, without the scripts themselves."""
        return sum(self.calls.values())
