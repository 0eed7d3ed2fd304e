"""The repairs of contradictions that cannot do any harm."""

from limner.ledger.contradictions import Finding, Mend
from limner.ledger.layout.constants import KEEP_DROPPED
from limner.ledger.layout.keys import COPIES, DOUBTS, DUE, JOB, LOG
from limner.ledger.store import Store


def mend(store: Store, finding: Finding) -> bool:
    """Repair what the finding is about; False if no repair is safe. Raises StoreUnavailable."""
    prefix, subject = store.prefix, finding.subject
    with store.client() as client:
        now = round(store.now(client.time()) * 1000)
        match finding.mend:
            case None:
                return False
            case Mend.DUE:
                client.zadd(DUE(prefix), {subject: now}, nx=True)
            case Mend.DOUBTS:
                client.zadd(DOUBTS(prefix), {subject: now}, nx=True)
            case Mend.COPIES:
                client.zadd(COPIES(prefix), {subject: now}, nx=True)
            case Mend.SLOT:
                client.zrem(prefix + finding.key, subject)
            case Mend.EXPIRE if finding.key:
                client.pexpire(prefix + finding.key, KEEP_DROPPED)
            case Mend.EXPIRE:
                client.pexpire(JOB(prefix, subject), KEEP_DROPPED)
                client.pexpire(LOG(prefix, subject), KEEP_DROPPED)
    return True
