"""What engines with a model of the user's choice share: where it is, what it is, whether it can be used."""

from __future__ import annotations

from functools import cached_property
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import ClassVar

from pipelines import models
from pipelines.engines import device as devices
from pipelines.errors import EngineMissingError
from pipelines.types import EngineInfo


class ModelEngine:
    """`model` is a name in the models folder or a path, `device` auto, cpu or cuda."""

    family: ClassVar[str]  # of its models, and the name of its extra
    distributions: ClassVar[tuple[str, ...]]  # what must be installed, its own library first

    def __init__(self, model: str, device: str = "auto", variant: str = "") -> None:
        """`variant` follows the model's name in results."""
        self._model = model
        self._device = device
        self._variant = variant
        self._lock = Lock()  # a model is loaded once

    @cached_property
    def info(self) -> EngineInfo:
        name = self._path.name if self._path.is_dir() else self._path.stem
        version = metadata.version(self.distributions[0])
        return EngineInfo(self.family, version, name + self._variant, models.sha256(self._path))

    @property
    def weights_bytes(self) -> int:
        """The size of the model's files."""
        return models.size_bytes(self._path)

    def check(self) -> None:
        """Checks before the long work that everything is here; loads no weights.

        Raises EngineMissingError, ModelCorruptError, ModelUnusableError, and OptionError for the device.
        """
        try:
            for name in self.distributions:
                metadata.version(name)
        except metadata.PackageNotFoundError:
            raise self._missing(f"{self.distributions[0]} is not installed") from None
        _ = self._path
        if self._device != "auto":
            self._choose_device()

    def _missing(self, what: str) -> EngineMissingError:
        return EngineMissingError(f"{what}: run pip install 'turnwise[{self.family}]'.")

    @cached_property
    def _path(self) -> Path:
        return models.locate(self.family, self._model)

    def _choose_device(self) -> str:
        return devices.choose(self._device)
