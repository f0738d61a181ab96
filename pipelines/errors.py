"""Every error that this library raises. Each message is one sentence that says what to do.

TurnwiseError
├── InputError               the user's input cannot be used
│   ├── MediaError           the recording
│   │   ├── NotMediaError        no container that we open
│   │   ├── NoAudioTrackError    a container without audio
│   │   ├── EmptyMediaError      zero bytes, or too short to hold a word
│   │   ├── MediaLimitError      too long, too large, or too slow to decode
│   │   └── NoSpeechError        silence, or music only
│   ├── TextError            the supplied text
│   └── OptionError          a value that a setting or an option does not take
├── EngineError              an engine failed on good input
│   ├── EngineMissingError       not installed, or its weights are not here
│   └── EngineMemoryError        the processor's or the graphics card's memory is not enough
├── ModelError               model files
│   ├── ModelCorruptError        a file's hash is not the manifest's
│   ├── ModelUnusableError       not a model, or one for another engine, or a part of it is missing
│   └── ModelFetchError          could not be fetched
│       └── ModelGatedError          its terms must be accepted, or the token for it is missing or wrong
├── OutputError              a result cannot be written
└── CancelledError           the user stopped the work
"""


class TurnwiseError(Exception):
    """The root; str() of any instance is fit to show to a user."""


class InputError(TurnwiseError):
    """The user's input cannot be used."""


class MediaError(InputError):
    """The recording cannot be used."""


class NotMediaError(MediaError):
    """The file is no container that we open."""


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
    """A setting or an option has a value that it does not take."""


class EngineError(TurnwiseError):
    """An engine failed on good input."""


class EngineMissingError(EngineError):
    """The engine is not installed, or its weights are not in the models folder."""


class EngineMemoryError(EngineError):
    """The memory of the processor or of the graphics card is not enough, even in the smallest steps."""


class ModelError(TurnwiseError):
    """Model files."""


class ModelCorruptError(ModelError):
    """A model file is not the one that the manifest describes."""


class ModelUnusableError(ModelError):
    """A file or folder is not a model, or one for another engine, or misses a part."""


class ModelFetchError(ModelError):
    """A model could not be fetched."""


class ModelGatedError(ModelFetchError):
    """A model's terms must be accepted first, or the token that shows it is missing or wrong."""


class OutputError(TurnwiseError):
    """A result cannot be written."""


class CancelledError(TurnwiseError):
    """The user stopped the work."""


def first_line(error: BaseException) -> str:
    """What an error says, on one line, without the full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0].strip().rstrip(".") if lines else "") or type(error).__name__
