"""The contents of a repository of the Hugging Face hub: its commit, and each file's size, sum and address.

The only place that imports huggingface_hub, which comes with the extras that need the hub. Files kept in Git
LFS (the weights) have a SHA-256 there, small ones the SHA-1 that git gives a blob.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.errors import ModelFetchError, ModelGatedError, first_line
from pipelines.models.hashing import hash_file, hash_git_blob
from pipelines.models.manifest import Repository

TOKEN_VARIABLES = ("TURNWISE_HF_TOKEN", "HF_TOKEN")
PAGE = "https://huggingface.co"
TIMEOUT = 30.0
UNAUTHORIZED = 401
FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file as the hub describes it; one of the two sums is ""."""

    path: str  # below the model's folder
    size_bytes: int
    sha256: str
    git_sha1: str
    url: str
    token: str
    replacements: tuple[tuple[str, str], ...]

    def is_right(self, path: Path) -> bool:
        """Whether `path` is this file. Raises OSError."""
        if not path.is_file() or path.stat().st_size != self.size_bytes:
            return False
        return hash_file(path) == self.sha256 if self.sha256 else hash_git_blob(path) == self.git_sha1


def survey(repository: Repository, commit: str = "") -> tuple[str, list[HubFile]]:
    """Returns that commit, or else the newest, and the wanted files of it. Downloads nothing.

    Raises ModelGatedError if its terms are not accepted or the token is missing or wrong, ModelFetchError
    without huggingface_hub, without network, or if the repository is not what the manifest says.
    """
    library = _library()
    with _explained(repository):
        api = library.HfApi(endpoint=_endpoint(), token=token(repository) or False)
        info = api.model_info(repository.name, revision=commit or None, files_metadata=True, timeout=TIMEOUT)
        files = list(_wanted(library, repository, info))
        if repository.gated:
            library.get_hf_file_metadata(files[0].url, token=token(repository) or False, timeout=TIMEOUT)
    return info.sha, files


def token(repository: Repository) -> str:
    """Returns the token to send: the environment's if the repository is gated, else ""."""
    found = (os.environ.get(name, "").strip() for name in TOKEN_VARIABLES)
    return next(filter(None, found), "") if repository.gated else ""


def _library() -> Any:
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import huggingface_hub  # noqa: PLC0415  (comes with the extras)
    except ImportError as error:
        raise ModelFetchError(
            "Models of the Hugging Face hub are fetched with huggingface_hub, which is not installed: run "
            '`pip install "turnwise[faster-whisper]"` or `pip install "turnwise[pyannote]"`, or copy the '
            "models folder from a machine that has it."
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its advice is not meant for our users
    return huggingface_hub


def _endpoint() -> str | None:
    """A mirror of the hub, in the variable that users of huggingface_hub know."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _wanted(library: Any, repository: Repository, info: Any) -> Iterator[HubFile]:
    """The files that match the patterns. Raises ModelFetchError unless all required ones are there."""

    def matches(path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in repository.patterns)

    matching = [each for each in info.siblings or () if matches(each.rfilename)]
    missing = set(repository.required) - {each.rfilename for each in matching}
    if missing:
        raise ModelFetchError(
            f"The repository {repository.name} no longer holds {sorted(missing)[0]}: look for a newer "
            "version of turnwise."
        )
    for each in sorted(matching, key=lambda sibling: str(sibling.rfilename)):
        url = library.hf_hub_url(repository.name, each.rfilename, revision=info.sha, endpoint=_endpoint())
        yield _describe(repository, each, url)


def _describe(repository: Repository, sibling: Any, url: str) -> HubFile:
    """Raises ModelFetchError for a path outside the folder, and for a file with no sum or a wrong one."""
    path = PurePosixPath(sibling.rfilename)
    sha256 = sibling.lfs.sha256 if sibling.lfs else ""
    outside = path.is_absolute() or ".." in path.parts or "\\" in sibling.rfilename
    if outside or sibling.size is None or not (sha256 or sibling.blob_id):
        raise ModelFetchError(
            f"The hub describes {sibling.rfilename!r} of {repository.name} in a way that cannot be trusted: "
            "check which hub the variable HF_ENDPOINT names."
        )
    if sha256 != repository.sums.get(path.as_posix(), sha256):
        raise ModelFetchError(
            f"{path} of {repository.name} is not the file that this version of turnwise knows: look for "
            "a newer one, and check which hub the variable HF_ENDPOINT names."
        )
    replacements = repository.replacements if path.as_posix() == "config.yaml" else ()
    target = (PurePosixPath(repository.below) / path).as_posix()
    git_sha1 = sibling.blob_id or ""
    return HubFile(target, sibling.size, sha256, git_sha1, url, token(repository), replacements)


@contextmanager
def _explained(repository: Repository) -> Iterator[None]:
    """Turns whatever the library raises into one sentence."""
    try:
        yield
    except ModelFetchError:
        raise
    except Exception as error:  # its network library's errors have no common root with its own
        raise _explain(repository, error) from error


def _explain(repository: Repository, error: Exception) -> ModelFetchError:
    name = type(error).__name__
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if name == "RevisionNotFoundError":
        return ModelFetchError(
            f"The repository {repository.name} no longer has the revision that lock.json in the models "
            "folder records: copy the model from a machine that has it, or take its entry out of that file "
            "to fetch what the repository holds now."
        )
    if name == "GatedRepoError" or (repository.gated and status in {UNAUTHORIZED, FORBIDDEN}):
        return _gated(repository, FORBIDDEN if status == FORBIDDEN else UNAUTHORIZED)
    if name == "RepositoryNotFoundError":
        return ModelFetchError(
            f"The hub no longer has the repository {repository.name}: look for a newer version of turnwise."
        )
    if status is not None:
        return ModelFetchError(f"The hub answered for {repository.name} with status {status}: try later.")
    return ModelFetchError(
        f"The hub cannot be reached for {repository.name} ({first_line(error)}): check the network and the "
        "variables HTTPS_PROXY, HF_ENDPOINT and HF_HUB_OFFLINE, or copy the models folder from a machine "
        "that has it."
    )


def _gated(repository: Repository, status: int) -> ModelGatedError:
    page = f"{PAGE}/{repository.name}"
    variables = " or ".join(TOKEN_VARIABLES)
    if not token(repository):
        return ModelGatedError(
            f"{repository.name} is free, but its terms must be accepted: log in at {page} and accept them, "
            f"make an access token of the kind Read at {PAGE}/settings/tokens, set {variables} to it, and "
            "run the same command again."
        )
    if status == FORBIDDEN:
        return ModelGatedError(
            f"The hub does not let the owner of this token have {repository.name}: accept its terms at "
            f"{page} with that account, and if the token is fine-grained, let it read gated repositories."
        )
    return ModelGatedError(
        f"The hub does not know the token in {variables}: make an access token of the kind Read at "
        f"{PAGE}/settings/tokens with an account that has accepted the terms at {page}."
    )
