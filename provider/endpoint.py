"""The provider's address, the key and the proxy: the checks of the settings that a client is made from."""

from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
from pydantic import SecretStr

from limner.errors import ConfigurationError

_SCHEMES: Final = frozenset({"http", "https"})


def checked_api_url(api_url: str) -> str:
    """The URL without a trailing slash. Raises :class:`ConfigurationError` for an unusable one."""
    try:
        parts = urlsplit(api_url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        httpx.URL(api_url)
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or not api_url.isascii() or not api_url.isprintable() or " " in api_url:
        raise ConfigurationError("LIMNER_API_URL must be an http or https URL such as https://api.kie.ai")
    # The message omits the URL, because a password may precede the @.
    if "@" in parts.netloc or "?" in api_url or "#" in api_url:
        raise ConfigurationError("LIMNER_API_URL must have no user, password, query or fragment")
    return api_url.rstrip("/")


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
    target = urlsplit(api_url)
    proxies = getproxies()
    setting = proxies.get(target.scheme) or proxies.get("all")
    if not setting or proxy_bypass(target.netloc):
        return None
    url = urlsplit(setting if "://" in setting else f"http://{setting}")
    if url.scheme not in _SCHEMES or not url.hostname:
        raise ConfigurationError(f"{target.scheme.upper()}_PROXY must be an http or https URL")
    auth = (unquote(url.username), unquote(url.password or "")) if url.username else None
    port = url.port or (443 if url.scheme == "https" else 80)
    location = httpcore.URL(scheme=url.scheme, host=url.hostname, port=port, target="/")
    return httpcore.Proxy(location, auth=auth)
