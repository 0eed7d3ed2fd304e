"""The provider's callbacks: signals that a task has ended, received in any web backend.

:class:`Receiver` belongs to no framework. ``limner.callbacks.asgi`` makes a Starlette or FastAPI route of it;
that module alone needs Starlette, which the package's extra ``callbacks`` brings.
"""

from limner.callbacks.payload import task_id_of
from limner.callbacks.receiver import Receiver, Reply
from limner.callbacks.redaction import HideToken
from limner.callbacks.refusal import Refusal

__all__ = ["HideToken", "Receiver", "Refusal", "Reply", "task_id_of"]
