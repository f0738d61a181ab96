"""The command line: commands, options, and messages about wrong ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from pipelines.errors import OptionError

DEFAULT_FORMATS = "json,txt,vtt,srt,rttm,html"


class Parser(argparse.ArgumentParser):
    """Raises its errors, as one sentence."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}: see {self.prog} --help")


@dataclass(frozen=True, slots=True)
class Command:
    """An added command: a line of help, the function that declares its options, and the one that runs it."""

    help: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


NONE_ADDED: Mapping[str, Command] = MappingProxyType({})


def parse(
    arguments: Sequence[str] | None = None, added: Mapping[str, Command] = NONE_ADDED
) -> argparse.Namespace:
    """Returns the options of one command, whose name is in `command`. Raises OptionError."""
    parser = Parser(
        prog="turnwise", description="A recording and its messy text in; who said what, and when, out."
    )
    parser.add_argument("--version", action="version", version=f"turnwise {version('turnwise')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_run(commands.add_parser("run", help="find who says what and when in a recording"))
    _add_output(commands.add_parser("demo", help="run the segment that ships with the project"))
    _add_score(commands.add_parser("score", help="measure a result against a reference"))
    _add_models(commands.add_parser("models", help="list, fetch and check the models"))
    for name, command in added.items():
        command.declare(commands.add_parser(name, help=command.help))
    return parser.parse_args(arguments)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("audio", metavar="AUDIO", type=Path, help="the recording: any audio or video file")
    parser.add_argument(
        "--text", type=Path, help="its text: txt, srt, vtt or json (default: the recognised words)"
    )
    _add_output(parser)
    parser.add_argument(
        "--asr", default="auto", metavar="NAME", help="engine that recognises words: auto, NAME or NAME:MODEL"
    )
    parser.add_argument("--diarizer", default="auto", metavar="NAME", help="engine that separates speakers")
    parser.add_argument("--device", default="auto", help="where they compute: auto, cpu or cuda")
    parser.add_argument(
        "--heard", type=Path, metavar="FILE", help="recognised words: heard.json, result.json or Whisper's"
    )
    parser.add_argument("--diarization", type=Path, metavar="FILE", help="who speaks when: an RTTM")
    parser.add_argument("--speakers", type=_positive, metavar="N", help="the number of speakers")
    parser.add_argument("--min-speakers", type=_positive, metavar="N", help="at least this many")
    parser.add_argument("--max-speakers", type=_positive, metavar="N", help="at most this many")
    parser.add_argument("--language", default="", metavar="TAG", help="its language (default: detected)")
    parser.add_argument("--glossary", type=Path, metavar="FILE", help="names and terms, one per line")
    parser.add_argument(
        "--formats",
        default=DEFAULT_FORMATS,
        metavar="LIST",
        help=f"formats besides result.json (default: {DEFAULT_FORMATS})",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the results"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, plain lines")


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar="RESULT.json", type=Path, help="what `turnwise run` wrote")
    parser.add_argument(
        "--reference",
        metavar="REF",
        type=Path,
        action="append",
        required=True,
        help="the truth: rttm, stm or json; may be given more than once",
    )
    parser.add_argument("--supplied-truth", metavar="FILE", type=Path, help="the truth about each token")


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "pull", "verify", "path"), help="what to do")
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help="models, such as whisper:small (default: list all, pull embedded, verify what is here)",
    )


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of speakers, 1 or more")
    return number
