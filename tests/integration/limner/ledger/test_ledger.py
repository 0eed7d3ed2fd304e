"""The ledger as a whole."""

from limner.ledger import Durability, Ledger
from tests.integration.limner.ledger.conftest import Bench, new


def test_groups_on_one_server_know_nothing_of_each_other(bench: Bench) -> None:
    job_id = bench.submit()
    other = Ledger(bench.client, group="other", clock=lambda: bench.now)
    assert other.jobs.read(job_id) is None
    assert other.jobs.submit(new("a hen", job_id=job_id)).outcome == "created"


def test_an_empty_server_has_no_other_layout(bench: Bench) -> None:
    bench.ledger.check_layout()


def test_the_facts_of_the_server_are_its_info(bench: Bench) -> None:
    facts = bench.ledger.server_info()
    assert facts["aof_enabled"] == 0
    assert facts["maxmemory_policy"] == "noeviction"


def test_the_parts_share_one_store_and_its_prefix(bench: Bench) -> None:
    ledger = Ledger(bench.client, group="other", durability=Durability.DISK)
    assert ledger.prefix == "limner:{other}:"
    parts = (ledger.jobs, ledger.queue, ledger.accounts, ledger.journal, ledger.budget, ledger.ticks)
    assert {id(part.store) for part in parts} == {id(ledger.store)}
