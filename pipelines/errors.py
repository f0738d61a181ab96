"""Every error that this library raises. Each message is one sentence that says what to do."""

import re


class TurnwiseError(Exception):
    """The root; str() of any instance can be shown to a user."""


class InputError(TurnwiseError):
    """The user's input cannot be used."""


class MediaError(InputError):
    """The recording cannot be used."""


class NotMediaError(MediaError):
    """The file is not a container that we open."""


class NoAudioTrackError(MediaError):
    """The container holds no audio."""


class EmptyMediaError(MediaError):
    """The file has zero bytes, or too little audio to hold a word."""


class MediaLimitError(MediaError):
    """The recording is too long, too large, or too slow to decode."""


class NoSpeechError(MediaError):
    """Nobody speaks in the recording."""


class TextError(InputError):
    """The supplied text cannot be used."""


class OptionError(InputError):
    """A setting or an option has an invalid value."""


class EngineError(TurnwiseError):
    """An engine failed on good input."""


class EngineMissingError(EngineError):
    """The engine is not installed, or its weights are not in the models folder."""


class EngineMemoryError(EngineError):
    """The processor or the graphics card has too little memory even for the smallest steps."""


class ModelError(TurnwiseError):
    """Something is wrong with model files."""


class ModelCorruptError(ModelError):
    """A model file is not the one that the manifest describes."""


class ModelUnusableError(ModelError):
    """A file or folder is not a model, belongs to another engine, or is incomplete."""


class ModelFetchError(ModelError):
    """A model could not be fetched."""


class ModelGatedError(ModelFetchError):
    """A model's terms must be accepted first, or the access token is missing or wrong."""


class OutputError(TurnwiseError):
    """A result cannot be written."""


class CancelledError(TurnwiseError):
    """The user stopped the work."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message without the full stop, or the error's type."""
    lines = str(error).strip().splitlines()
    return (lines[0].strip().rstrip(".") if lines else "") or type(error).__name__


def code_of(kind: type[Exception]) -> str:
    """Returns the stable code of a class of errors, for programs: NoSpeechError → no_speech."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower()
