"""The parts of m3ter's SDK that we use, imported without the models of m3ter's operations.

The SDK imports the models, some 500 modules, whatever it is used for. That takes a sixth of a run's
CPU time, and we decode the answers ourselves. Here the models are imported when they are first
used, which is the case for nothing of m3sync's.
"""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_MODELS = "m3ter.types"
_OF_THE_CLIENT = {
    "AuthenticationGetBearerTokenResponse": f"{_MODELS}.authentication_get_bearer_token_response"
}
"""The models that the SDK's client itself imports, with their modules."""


class _UnloadedModels(ModuleType):
    """The SDK's package of models before its first use."""

    def __getattr__(self, name: str) -> object:
        module = _OF_THE_CLIENT.get(name)
        if module is None:
            _forget(self)
        return getattr(importlib.import_module(module or _MODELS), name)


def _forget(models: ModuleType) -> None:
    """Let the next import of the models find the real ones."""
    if sys.modules.get(_MODELS) is models:
        del sys.modules[_MODELS]


def _unloaded_models() -> ModuleType:
    models = _UnloadedModels(_MODELS)
    spec = find_spec("m3ter")
    folders = spec.submodule_search_locations if spec else None
    models.__path__ = [str(Path(folder, "types")) for folder in folders or ()]
    return models


_models = _unloaded_models()
if "m3ter" not in sys.modules:
    sys.modules[_MODELS] = _models
try:
    from m3ter import APIConnectionError, APIStatusError, M3ter
finally:
    _forget(_models)

__all__ = ["APIConnectionError", "APIStatusError", "M3ter"]
