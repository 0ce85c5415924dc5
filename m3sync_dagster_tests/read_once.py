"""Keeps what libraries make of files that do not change while tests run.

A program reads each once. A process of tests calls hundreds of commands and clients.
"""

import os
import ssl
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import IO, Any

import httpx
import typer.testing
import yaml
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster_shared.yaml_utils import DagsterYamlLoader


def read_once() -> None:
    """Replace functions of the libraries; call it once in a process."""
    httpx._transports.default.create_ssl_context = _contexts(  # type: ignore[attr-defined]
        httpx.create_ssl_context
    )
    ScriptDirectory.from_config = _scripts(ScriptDirectory.from_config)  # type: ignore[method-assign, assignment]
    typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]
    yaml.load = _documents(yaml.load)


def _contexts(create: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """Those with the authorities that httpx trusts by default."""

    @cache
    def default(*_: str | None) -> ssl.SSLContext:
        return create()

    def kept(
        verify: ssl.SSLContext | str | bool = True,
        cert: object = None,
        trust_env: bool = True,
    ) -> ssl.SSLContext:
        if verify is True and cert is None and trust_env:
            return default(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        return create(verify=verify, cert=cert, trust_env=trust_env)

    return kept


def _scripts(read: Callable[[Config], ScriptDirectory]) -> Callable[[Config], ScriptDirectory]:
    """The migrations of a folder: Dagster's, or ours."""
    known: dict[str | None, ScriptDirectory] = {}

    def kept(config: Config) -> ScriptDirectory:
        folder = config.get_alembic_option("script_location")
        if folder not in known:
            known[folder] = read(config)
        return known[folder]

    return kept


def _documents(load: Callable[..., object]) -> Callable[..., object]:
    """The YAML that Dagster and m3sync read for each command: ``dagster.yaml`` and its parts."""
    known: dict[tuple[type, str | bytes], object] = {}

    def kept(stream: str | bytes | IO[Any], Loader: type) -> object:  # noqa: N803 - PyYAML's name
        if Loader not in (DagsterYamlLoader, yaml.SafeLoader):
            return load(stream, Loader)
        text = stream if isinstance(stream, (str, bytes)) else stream.read()
        if (Loader, text) not in known:
            if not isinstance(stream, (str, bytes)):
                stream.seek(0)  # An error names the file.
            known[Loader, text] = load(stream, Loader)
        return deepcopy(known[Loader, text])

    return kept
