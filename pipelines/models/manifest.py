"""Every model: what it is, its licence, its size, its SHA-256, and where it comes from.

One table for every engine. The sums of the embedded weights and of OpenAI's checkpoints are stated here
(OpenAI's are part of the addresses they are published under). A hub's repository is different: its
owner may change it at any time. The sums of its weights are stated where independent projects publish the
same ones; the rest of what was pulled is recorded in the lock (`pipelines.models.lockfile`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from pipelines.models.legacy_checkpoint import convert_checkpoint
from pipelines.models.wheels import Wheel

EMBEDDED = "embedded"
WHISPER = "whisper"
FASTER_WHISPER = "faster-whisper"
PYANNOTE = "pyannote"


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a wheel of the package registry."""

    wheel: Wheel
    path: str
    convert: Callable[[bytes], bytes] | None = None  # from the member to the model's file; None: as it is


@dataclass(frozen=True, slots=True)
class Address:
    """A file at its own address."""

    url: str


@dataclass(frozen=True, slots=True)
class Repository:
    """Files of one repository of the Hugging Face hub.

    `replacements` are applied to its config.yaml: the folder then stands alone and names no other repository.
    """

    name: str  # "Systran/faster-whisper-small"
    patterns: tuple[str, ...]  # of the files wanted; `*` stands for any characters, "/" among them
    required: tuple[str, ...]  # without these it is not such a model
    sums: Mapping[str, str] = field(default_factory=dict)  # SHA-256 by path, of known weights
    below: str = ""  # folder inside the model's folder
    gated: bool = False
    replacements: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hub:
    """A folder made of one or more repositories."""

    repositories: tuple[Repository, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One file or folder of weights: what it is, and where it comes from."""

    name: str  # "d-vector", "whisper:small"
    kind: str  # the engine it is for, and its folder: "embedded", "whisper"
    identity: str  # for people and for a result's provenance
    licence: str  # SPDX
    path: str  # below the models folder
    size_bytes: int  # of a hub's model: about
    sha256: str  # "" for a hub's model, whose sums are in the lock
    source: Member | Address | Hub

    @property
    def english(self) -> bool:
        """Whether it knows no other language."""
        return self.name.endswith(".en") or ":distil-" in self.name

    @property
    def gated(self) -> bool:
        """Whether its terms must be accepted on its page before it can be fetched."""
        return isinstance(self.source, Hub) and any(part.gated for part in self.source.repositories)


_EMBEDDED = (
    Model(
        name="silero-vad",
        kind=EMBEDDED,
        identity="Silero VAD 6 (faster-whisper 1.2.1)",
        licence="MIT",
        path="embedded/silero_vad_v6.onnx",
        size_bytes=1_245_151,
        sha256="4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
        source=Member(
            Wheel(
                requirement="faster-whisper==1.2.1",
                sha256="79a66ad50688c0b794dd501dc340a736992a6342f7f95e5811be60b5224a26a7",
            ),
            "faster_whisper/assets/silero_vad_v6.onnx",
        ),
    ),
    Model(
        name="d-vector",
        kind=EMBEDDED,
        identity="GE2E voice encoder (resemblyzer 0.1.4)",
        licence="Apache-2.0",
        path="embedded/dvector.safetensors",
        size_bytes=5_695_632,
        sha256="6065feaa60b3083618ee29a2e4fbf012a6c02f963c14f18d34c06ef9c356cc1b",
        source=Member(
            Wheel(
                requirement="Resemblyzer==0.1.4",
                sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
            ),
            "resemblyzer/pretrained.pt",
            partial(convert_checkpoint, table="model_state", prefixes=("lstm.", "linear.")),
        ),
    ),
)


WHISPER_ADDRESS = "https://openaipublic.azureedge.net/main/whisper/models"


def _whisper(name: str, size_bytes: int, sha256: str, file: str = "") -> Model:
    """A checkpoint of openai-whisper; `file` is its published name if that is not `name`."""
    return Model(
        name=f"{WHISPER}:{name}",
        kind=WHISPER,
        identity=f"OpenAI Whisper {name}",
        licence="MIT",
        path=f"{WHISPER}/{name}.pt",
        size_bytes=size_bytes,
        sha256=sha256,
        source=Address(f"{WHISPER_ADDRESS}/{sha256}/{file or name}.pt"),
    )


# Names and sums as in openai-whisper 20250625; better ones first.
_WHISPER = (
    _whisper("large-v3", 3_087_371_615, "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"),
    _whisper("large-v2", 3_086_999_982, "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524"),
    _whisper(
        "turbo",
        1_617_941_637,
        "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
        file="large-v3-turbo",
    ),
    _whisper("large-v1", 3_086_999_982, "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a"),
    _whisper("medium", 1_528_008_539, "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1"),
    _whisper("medium.en", 1_528_006_491, "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f"),
    _whisper("small", 483_617_219, "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794"),
    _whisper("small.en", 483_615_683, "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872"),
    _whisper("base", 145_262_807, "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"),
    _whisper("base.en", 145_261_783, "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead"),
    _whisper("tiny", 75_572_083, "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9"),
    _whisper("tiny.en", 75_571_315, "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"),
)


_CTRANSLATE2_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
)


def _faster_whisper(name: str, size_mb: int, weights: str = "", repository: str = "") -> Model:
    """A folder of CTranslate2; `weights` is the SHA-256 of its model.bin if that is known.

    `repository` is "" for "Systran/faster-whisper-NAME" and "Systran/faster-distil-whisper-NAME".
    """
    repository = repository or f"Systran/faster-whisper-{name}".replace("whisper-distil", "distil-whisper")
    part = Repository(
        repository,
        _CTRANSLATE2_FILES,
        required=("config.json", "model.bin", "tokenizer.json"),
        sums={"model.bin": weights} if weights else {},
    )
    return Model(
        name=f"{FASTER_WHISPER}:{name}",
        kind=FASTER_WHISPER,
        identity=f"Whisper {name} for CTranslate2 ({repository})",
        licence="MIT",
        path=f"{FASTER_WHISPER}/{name}",
        size_bytes=size_mb * 1_000_000,
        sha256="",
        source=Hub((part,)),
    )


# Names and repositories as in faster-whisper 1.2.1; better ones first.
_FASTER_WHISPER = (
    _faster_whisper("large-v3", 3_091, "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1"),
    _faster_whisper("large-v2", 3_090, "bf2a9746382e1aa7ffff6b3a0d137ed9edbd9670c3b87e5d35f5e85e70d0333a"),
    _faster_whisper(
        "turbo",
        1_622,
        "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da",
        repository="mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    ),
    _faster_whisper("distil-large-v3.5", 1_516, repository="distil-whisper/distil-large-v3.5-ct2"),
    _faster_whisper(
        "distil-large-v3", 1_516, "b79368e19b6623813609431a6e5ee309a71506701ebc49fd7820e692dec7c5f5"
    ),
    _faster_whisper("large-v1", 3_090),
    _faster_whisper("medium", 1_531, "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae"),
    _faster_whisper("medium.en", 1_530, "11b220779aea4c6f3ce9d2549c8a95ea869ed84066864b999531ef53e594fe5b"),
    _faster_whisper("distil-large-v2", 1_516),
    _faster_whisper("small", 486, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
    _faster_whisper("small.en", 486, "62b2a45b05ee59acb4a5341b33ee35e041395d378d418a18acfe4c9e768ee37a"),
    _faster_whisper(
        "distil-medium.en", 792, "d4cb75d823dcd2647191064da76f026774c06c036908f38456165368d0e2d66a"
    ),
    _faster_whisper(
        "distil-small.en", 336, "1187de3982cdcf962a2fb8f797e429fb4651b875b18fe9ce50b58b52fc9072b7"
    ),
    _faster_whisper("base", 148, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
    _faster_whisper("base.en", 148, "2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef"),
    _faster_whisper("tiny", 78, "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1"),
    _faster_whisper("tiny.en", 78, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
)


_PIPELINE_FILES = ("*config.yaml", "*.bin", "*.ckpt", "*.npz", "*.safetensors", "LICENSE*")
_NETWORK = "pytorch_model.bin"

_COMMUNITY_1 = Repository(
    "pyannote/speaker-diarization-community-1",
    _PIPELINE_FILES,
    required=("config.yaml",),
    sums={
        f"segmentation/{_NETWORK}": "7ad24338d844fb95985486eb1a464e32d229f6d7a03c9abe60f978bacf3f816e",
        f"embedding/{_NETWORK}": "6f10ff60898a1d185fa22e1d11e0bfa8a92efec811f11bca48cb8cafebefd929",
        "plda/plda.npz": "9b77bcd840692710dd3496f62ecfeed8d8e5f002fd991b785079b244eab7d255",
        "plda/xvec_transform.npz": "325f1ce8e48f7e55e9c8aa47e05d2766b7c48c4b25b8de8dd751e7a4cc5fbe8f",
    },
    gated=True,
)
_SEGMENTATION = Repository(
    "pyannote/segmentation-3.0",
    _PIPELINE_FILES,
    required=(_NETWORK,),
    sums={_NETWORK: "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298"},
    below="segmentation",
    gated=True,
)
_EMBEDDING = Repository(
    "pyannote/wespeaker-voxceleb-resnet34-LM",
    _PIPELINE_FILES,
    required=(_NETWORK,),
    sums={_NETWORK: "366edf44f4c80889a3eb7a9d7bdf02c4aede3127f7dd15e274dcdb826b143c56"},
    below="embedding",
)
_PIPELINE_3_1 = Repository(
    "pyannote/speaker-diarization-3.1",
    _PIPELINE_FILES,
    required=("config.yaml",),
    gated=True,
    replacements=((_SEGMENTATION.name, "$model/segmentation"), (_EMBEDDING.name, "$model/embedding")),
)


def _pyannote(name: str, licence: str, *repositories: Repository) -> Model:
    return Model(
        name=f"{PYANNOTE}:{name}",
        kind=PYANNOTE,
        identity=f"pyannote speaker-diarization-{name}",
        licence=licence,
        path=f"{PYANNOTE}/{name}",
        size_bytes=33_000_000,
        sha256="",
        source=Hub(repositories),
    )


_PYANNOTE = (
    _pyannote("community-1", "CC-BY-4.0", _COMMUNITY_1),
    # the second licence is that of the voice embedding
    _pyannote("3.1", "MIT AND CC-BY-4.0", _PIPELINE_3_1, _SEGMENTATION, _EMBEDDING),  # CC-BY: _EMBEDDING
)


MODELS = {model.name: model for model in (*_EMBEDDED, *_WHISPER, *_FASTER_WHISPER, *_PYANNOTE)}

SYNONYMS = {
    f"{WHISPER}:large": f"{WHISPER}:large-v3",
    f"{WHISPER}:large-v3-turbo": f"{WHISPER}:turbo",
    f"{FASTER_WHISPER}:large": f"{FASTER_WHISPER}:large-v3",
    f"{FASTER_WHISPER}:large-v3-turbo": f"{FASTER_WHISPER}:turbo",
    f"{PYANNOTE}:speaker-diarization-community-1": f"{PYANNOTE}:community-1",
    f"{PYANNOTE}:speaker-diarization-3.1": f"{PYANNOTE}:3.1",
}
"""Other names that users of the libraries know."""
