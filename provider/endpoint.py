"""The provider's address, the key and the proxy: the checks of the settings that a client is made from."""

import re
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
from pydantic import SecretStr

from limner.errors import ConfigurationError

_SCHEMES: Final = frozenset({"http", "https"})
_API_PATH: Final = re.compile(
    r"/api/v1(/jobs(/createTask|/recordInfo)?|/chat(/credit)?)?$|(/jobs)?/(createTask|recordInfo)$|/chat/credit$",
    re.IGNORECASE,
)
"""The end of a URL that belongs to a request. Any other path may be the prefix of a proxy."""


def checked_api_url(api_url: str) -> str:
    """The URL without a trailing slash. Raises :class:`ConfigurationError` for an unusable one."""
    try:
        parts = urlsplit(api_url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        httpx.URL(api_url)
        # The look-up of the name fails over an empty or too long label in an error of its own.
        (parts.hostname or "").encode("idna")
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or not api_url.isascii() or not api_url.isprintable() or " " in api_url:
        raise ConfigurationError("LIMNER_API_URL must be an http or https URL such as https://api.kie.ai")
    # The message omits the URL, because a password may precede the @.
    if "@" in parts.netloc or "?" in api_url or "#" in api_url:
        raise ConfigurationError("LIMNER_API_URL must have no user, password, query or fragment")
    url = api_url.rstrip("/")
    if path := _API_PATH.search(url):
        raise ConfigurationError(
            f"LIMNER_API_URL must not end in {path[0]}, which each request adds; write {url[: path.start()]}"
        )
    return url


def tls_context() -> ssl.SSLContext:
    """The TLS settings with the certificates that the environment names, or else those of httpx.

    Raises :class:`ConfigurationError` if they cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        reason = error.strerror or "no certificates in it"
        raise ConfigurationError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read ({reason})") from None


def checked_api_key(api_key: SecretStr) -> str:
    """The key, usable in a header. Raises :class:`ConfigurationError`, whose message omits the key."""
    key = api_key.get_secret_value()
    if not key:
        raise ConfigurationError("LIMNER_API_KEY is empty")
    if not all("!" <= char <= "~" for char in key):
        raise ConfigurationError(
            "LIMNER_API_KEY has a blank, a line break or a character that is not ASCII (value not shown)"
        )
    return key


def environment_proxy(api_url: str) -> httpcore.Proxy | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for the URL, if any.

    Raises :class:`ConfigurationError` for a proxy that is not an HTTP proxy.
    """
    variable = proxy_variable(api_url)
    if variable is None:
        return None
    setting = getproxies()[variable.removesuffix("_PROXY").lower()]
    url = urlsplit(setting if "://" in setting else f"http://{setting}")
    if url.scheme not in _SCHEMES or not url.hostname:
        raise ConfigurationError(f"{variable} must be an http or https URL")
    auth = (unquote(url.username), unquote(url.password or "")) if url.username else None
    port = url.port or (443 if url.scheme == "https" else 80)
    location = httpcore.URL(scheme=url.scheme, host=url.hostname, port=port, target="/")
    return httpcore.Proxy(location, auth=auth)


def proxy_variable(api_url: str) -> str | None:
    """The name of the variable that names the URL's proxy, if there is one."""
    target = urlsplit(api_url)
    proxies = getproxies()
    kind = next((kind for kind in (target.scheme, "all") if proxies.get(kind)), None)
    return f"{kind.upper()}_PROXY" if kind and not proxy_bypass(target.netloc) else None
