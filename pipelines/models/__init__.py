"""Weights: which models there are, where they lie, their checksums, and how they are fetched.

locating           finds, checks and pulls models
kinds              what a path is, by its first bytes, and which engine loads it
manifest           every model: licence, size, SHA-256, sources
lockfile           the state of each hub model when it was pulled
fetching           one model into the models folder, whole or not at all
download           one file over HTTPS, resumed after an interruption
hub                the contents of a repository of the model hub
wheels             one file from a wheel of the package registry
hashing            the SHA-256 of files and folders
legacy_checkpoint  tensors from an old PyTorch checkpoint, without torch
"""

from pipelines.models.fetching import FOLDER_VARIABLE
from pipelines.models.kinds import size_bytes
from pipelines.models.locating import (
    Progress,
    State,
    available,
    copied,
    find,
    folder,
    locate,
    look,
    pull,
    read,
    select,
    sha256,
    state,
    verify,
)
from pipelines.models.manifest import MODELS, SYNONYMS, Model

__all__ = [
    "FOLDER_VARIABLE",
    "MODELS",
    "SYNONYMS",
    "Model",
    "Progress",
    "State",
    "available",
    "copied",
    "find",
    "folder",
    "locate",
    "look",
    "pull",
    "read",
    "select",
    "sha256",
    "size_bytes",
    "state",
    "verify",
]
