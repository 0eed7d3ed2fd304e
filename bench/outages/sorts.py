"""The sorts of outages, and how the stand-in plays each."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.kie.server import SandboxProvider

RICH: Final = 1_000_000.0


@dataclass(frozen=True)
class Sort:
    """A sort of outage."""

    says: str
    fault: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The stand-in's faults, each with its variant if it has any; none: the credits are used up."""

    def play(self, provider: SandboxProvider, seconds: float) -> float:
        """Begin the outage, wait until it is over, and return the time at which it was over."""
        began = time.time()
        if self.fault:
            provider.faults(**{name: {**rule, "seconds": seconds} for name, rule in self.fault.items()})
            time.sleep(seconds)
            return began + seconds
        provider.set_credits(0.0)
        time.sleep(seconds)
        provider.set_credits(RICH)
        return time.time()


def _page(variant: str) -> dict[str, dict[str, Any]]:
    return {"html_before": {"variant": variant}}


SORTS: Final[Mapping[str, Sort]] = {
    "502": Sort("a gateway's page, 502", _page("502")),
    "525": Sort("a page that proves that nothing was processed, 525", _page("525")),
    "403": Sort("a challenge, 403", _page("403")),
    "302": Sort("a redirect, 302", _page("302")),
    "refused": Sort("connections refused", {"unreachable": {"variant": "refused"}}),
    "hang": Sort("no answer until the time-out", {"hang": {}}),
    "500": Sort("code 500, no task", {"create_500": {}}),
    "500-made": Sort("code 500, the task was made", {"create_500_after": {}}),
    "455": Sort("maintenance, 455", {"create_455": {}}),
    "401": Sort("false 401, the key is good", {"create_401": {}}),
    "402": Sort("402, topped up at the end"),
}
