"""The server's own account of what it did: commands, time in scripts, and CPU.

A command that a script calls is counted like one that a client sends, and the script as ``evalsha`` besides,
with the time of all that it calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SCRIPTS: Final = frozenset({"evalsha", "eval"})
OVERHEAD: Final = frozenset(
    {"info", "config", "script", "client", "auth", "hello", "select", "ping", "command", "readonly"}
)
"""What connecting and measuring send."""


@dataclass(frozen=True)
class Stats:
    """Counts since the server's start, or between two moments. Times are in seconds."""

    calls: Mapping[str, int]
    scripts: int
    script_seconds: float
    cpu: float
    """User and system time of the whole process: also of the thread that writes the append-only file."""

    @classmethod
    def read(cls, client: Any) -> "Stats":
        """Read the server's own figures. Its CPU is more finely told there than by the OS' 10 ms ticks."""
        told, cpu = client.info("commandstats"), client.info("cpu")
        calls: dict[str, int] = {}
        scripts, microseconds = 0, 0
        for name, counted in told.items():
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
        """All commands but the scripts themselves: those that scripts call, and those that clients send."""
        return sum(self.calls.values())
