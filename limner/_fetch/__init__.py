"""A fetch of an address that came from outside, which nobody can turn against the user's own network.

``urls`` reads a URL, ``lookup`` resolves its host once, ``addresses`` says which addresses are allowed,
``connection`` connects to a checked one, and ``fetcher`` gets a file through it. ``head`` and ``body`` read
the answer; ``http.client`` does not, because it takes the chunk size ``-1`` for all that follows, skips
interim answers without end, and returns a body that was cut off as if it were whole.
"""

from limner._fetch.deadline import Limits
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.fetcher import Download, Fetcher

__all__ = ["Download", "FetchError", "FetchFault", "Fetcher", "Limits"]
