"""Networks from pyannote's checkpoint files, without running code that a file contains.

pyannote.audio loads checkpoints with `weights_only=False`, which runs any code in the file. Here the file is
read with `weights_only=True`. The names in pyannote's own description of a network are admitted; classes of
the training framework, which old checkpoints store beside the weights, are replaced by one that does nothing;
a file with any other name is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines.engines.failures import is_memory_short
from pipelines.engines.pyannote.imports import import_pyannote, silenced
from pipelines.errors import ModelUnusableError, first_line

ADMITTED = (
    "pyannote.audio.core.task.Specifications",
    "pyannote.audio.core.task.Problem",
    "pyannote.audio.core.task.Resolution",
    "torch.torch_version.TorchVersion",
)
MEMBER = "builtins.getattr"
"""How Python 3.11.0 to 3.11.3 pickled an enumeration's member; `_member` reads it, and nothing else."""

INERT = ("pytorch_lightning.", "lightning.", "lightning_fabric.", "omegaconf.", "pyannote.audio.core.model.")
"""Names with these prefixes are read as a class that does nothing."""

NETWORKS = "pyannote.audio.models."
"""The class of a network must come from here: a checkpoint must not choose what is imported."""

INSTANTIATOR = "_instantiator"
"""lightning before 2.6 calls any function that a checkpoint gives under this name."""


class _Inert:
    """Takes the place of a class whose objects are not needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def load_network(path: Path) -> Any:
    """The network of a checkpoint file, on the processor, ready for inference.

    Raises ModelUnusableError if the file is not one, holds more than a network, or is for another engine.
    """
    import_pyannote()
    try:
        with silenced(), _admitted(path):
            network = _network_class(_read(path), path).load_from_checkpoint(
                path, map_location="cpu", strict=False, weights_only=True
            )
    except ModelUnusableError:
        raise
    except Exception as error:  # a doctored file can raise anything
        if is_memory_short(error):
            raise
        raise ModelUnusableError(
            f"{_name(path)} is not a network for pyannote.audio ({first_line(error)}): fetch it again."
        ) from error
    network.eval()
    return network


def _read(path: Path) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
        raise ModelUnusableError(
            f"{_name(path)} is not a PyTorch checkpoint, or only part of one: fetch it again."
        ) from error
    if not isinstance(checkpoint, dict) or "pyannote.audio" not in checkpoint:
        raise ModelUnusableError(
            f"{_name(path)} is a model, but not one of pyannote.audio's: name a pyannote folder."
        )
    return checkpoint


def _network_class(checkpoint: dict[str, Any], path: Path) -> Any:
    architecture = checkpoint["pyannote.audio"]["architecture"]
    module, name = str(architecture["module"]), str(architecture["class"])
    if INSTANTIATOR in checkpoint.get("hyper_parameters", {}):
        raise ModelUnusableError(f"{_name(path)} wants its network made by a function of its own choice.")
    if not module.startswith(NETWORKS):
        raise ModelUnusableError(
            f"{_name(path)} asks for a network from {module}, which is not pyannote.audio's."
        )
    return getattr(import_module(module), name)


@contextmanager
def _admitted(path: Path) -> Iterator[None]:
    """Lets torch read the harmless names in this file. Raises ModelUnusableError for any other name."""
    from torch.serialization import safe_globals  # noqa: PLC0415

    names = _names(path)
    refused = [name for name in names if name not in (*ADMITTED, MEMBER) and not name.startswith(INERT)]
    if refused:
        raise ModelUnusableError(
            f"{_name(path)} wants to run {refused[0]}, which no network needs: it may be harmful and was not"
            " loaded."
        )
    with safe_globals([(_stand_in(name), name) for name in names]):
        yield


def _names(path: Path) -> list[str]:
    """The names in a checkpoint that torch does not know to be harmless."""
    from torch.serialization import get_unsafe_globals_in_checkpoint  # noqa: PLC0415

    try:
        return sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not a checkpoint, or one from before 2020: reading it will fail
        return []


def _stand_in(name: str) -> Any:
    """What a name in a checkpoint stands for."""
    if name == MEMBER:
        return _member
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute) if name in ADMITTED else _Inert


def _member(kind: object, name: str) -> Enum:
    """A member of an enumeration, and no other attribute. Raises UnpicklingError."""
    if isinstance(kind, type) and issubclass(kind, Enum) and name in kind.__members__:
        return kind[name]
    raise pickle.UnpicklingError(f"{name} is not a member of an enumeration")


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
