"""A small transcript written by hand, with one of everything; and a builder for others like it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.text import ReadWord, join_words, words_by_turn
from pipelines.types import (
    AlignedToken,
    Attribution,
    Correction,
    EngineInfo,
    Evidence,
    Finding,
    FindingKind,
    Heard,
    HeardWord,
    Match,
    Media,
    Notice,
    Role,
    Span,
    Speaker,
    Supplied,
    Token,
    TokenKind,
    Transcript,
    Turn,
)

ENGINE = EngineInfo("pocketsphinx", "5.1.1", "en-us", "ab" * 32)
MEDIA = Media("interview 7.ogg", "cd" * 32, 123_456, "ogg", "opus", 48_000, 1, 60.0)


@dataclass(frozen=True, slots=True)
class Said:
    """One supplied token, and what the audio has there; `heard` is "" where nothing was heard."""

    text: str
    speaker: str
    heard: str
    match: Match = Match.MATCHED
    kind: TokenKind = TokenKind.WORD


def said(speaker: str, text: str) -> list[Said]:
    """Tokens heard as written; but "Lks|talks" heard as "talks", "(Storm)" not spoken, "{a}" interpolated."""
    result = []
    for word in text.split():
        written, _, heard = word.partition("|")
        if written.startswith("("):
            result.append(Said(written[1:-1], "", "", Match.NOT_SPOKEN))
        elif written.startswith("{"):
            result.append(Said(written[1:-1], speaker, "", Match.INTERPOLATED))
        elif heard:
            result.append(Said(written, speaker, heard, Match.DIFFERS))
        else:
            result.append(Said(written, speaker, written.strip(".,?").lower()))
    return result


def mark(text: str, kind: TokenKind) -> Said:
    """A token that is no word: a caption mark, a label, a sound."""
    return Said(text, "", "", Match.NOT_SPOKEN, kind)


def build(script: list[Said], speakers: tuple[Speaker, ...] = (), media: Media = MEDIA) -> Transcript:
    """A transcript of that script: 0.4 s for a word, half a second between turns; nothing corrected."""
    tokens: list[AlignedToken] = []
    words: list[HeardWord] = []
    text, now, voice = "", 0.6, ""
    for item in script:
        text += " " * bool(text)
        token = Token(item.text, len(text), len(text) + len(item.text), item.kind)
        text += item.text
        now += 0.5 if item.speaker and voice and item.speaker != voice else 0.0
        voice = item.speaker or voice
        length = 0.0 if item.match is Match.NOT_SPOKEN else 0.4
        heard = len(words)
        words += [HeardWord(item.heard, round(now, 3), round(now + 0.36, 3), 0.9)] if item.heard else []
        start, end = round(now, 3), round(now + length, 3)
        tokens.append(AlignedToken(token, item.match, start, end, heard, len(words), 0.95))
        now += length
    labels = tuple(item.speaker for item in script)
    return Transcript(
        media=media,
        language="en",
        supplied=Supplied(text, tuple(token.token for token in tokens), "txt", "utf-8"),
        heard=Heard(tuple(words), "en", ENGINE),
        engines=(("transcribe", ENGINE), ("diarize", EngineInfo("d-vector", "1", "resemblyzer", "ef" * 32))),
        tokens=tuple(tokens),
        attribution=Attribution(labels, tuple(0.98 if label else 1.0 for label in labels)),
        turns=_turns(tokens, labels),
        speakers=speakers,
        findings=(),
        corrections=(),
        corrected=join_words([token.token.text for token in tokens if token.match is not Match.NOT_SPOKEN]),
    )


def _turns(tokens: list[AlignedToken], labels: tuple[str, ...]) -> tuple[Turn, ...]:
    runs: list[tuple[str, list[int]]] = []
    for index, label in enumerate(labels):
        if label and (not runs or runs[-1][0] != label):
            runs.append((label, [index]))
        elif label:
            runs[-1][1].append(index)
    result = []
    for label, run in runs:
        text = join_words([tokens[index].token.text for index in run])
        start, end = tokens[run[0]].start, tokens[run[-1]].end
        result.append(Turn(label, start, end, run[0], run[-1] + 1, text, text))
    return tuple(result)


def speaker(id_: str, role: Role = Role.UNKNOWN, name: str = "", affiliation: str = "") -> Speaker:
    """A speaker of whom little is known."""
    return Speaker(id_, role, 0.8, name, 0.9 if name else 0.0, affiliation, (), 4.0, 1)


SPEAKERS = (
    replace(
        speaker("S1", Role.ANCHOR),
        evidence=(Evidence("role", "opens the recording and hands over", 0.6, 3.8, "structure"),),
    ),
    replace(
        speaker("S2", Role.ANALYST, "Ana Ruiz", "University of Basel"),
        evidence=(Evidence("name", "Joining me is Ana Ruiz, a lecturer", 3.8, 6.6, "supplied"),),
    ),
    speaker("S3", Role.CORRESPONDENT, "Jon Berg"),
)

_SCRIPT = [
    *said("S1", "Good evening. Lks|talks began in Geneva {today.} (Storm) (warning)"),
    mark(">>", TokenKind.CHANGE),
    *said("S1", "Joining me is Ana Ruiz, a lecturer at Basel. Welcome."),
    *said("S2", "Thank you (thank) (you) very much. It|it's a big step ,,"),
    mark("[Music]", TokenKind.SOUND),
    *said("S1", "And from Riga, Jon Berg??"),
    *said("S3", "Good evening."),
]


def sample() -> Transcript:
    """Three speakers, four turns, every kind of token, match, finding; two corrections and a warning."""
    plain = build(_SCRIPT, SPEAKERS)
    first = replace(plain.tokens[0].token, cue=Span(0.0, 4.2))
    tokens = (replace(plain.tokens[0], token=first), *plain.tokens[1:])
    at = [token.token.text for token in tokens].index
    lks, storm, again, step = at("Lks"), at("Storm"), at("thank"), at("step")
    corrections = (
        Correction(lks, lks + 1, "Lks", "Talks", "heard clearly, and near in spelling"),
        Correction(storm, storm + 2, "Storm warning", "", "not spoken"),
        Correction(again, again + 2, "thank you", "", "written twice, said once"),
        Correction(step, step + 2, "step ,,", "step,", "doubled punctuation"),
    )
    findings = (
        Finding(FindingKind.DIFFERS, lks, lks + 1, 1.4, 1.8, "Lks", "talks", 0.9),
        Finding(FindingKind.NOT_SPOKEN, storm, storm + 2, 3.4, 3.4, "Storm warning", "", 0.97),
        Finding(FindingKind.REPEATED, again, again + 2, 8.6, 8.6, "thank you", "", 0.8),
        Finding(FindingKind.MISSING, step + 2, step + 2, 11.0, 11.4, "", "for us", 0.7),
    )
    turns = tuple(replace(turn, corrected=_corrected(turn.text)) for turn in plain.turns)
    return replace(
        plain,
        supplied=replace(plain.supplied, tokens=tuple(token.token for token in tokens)),
        tokens=tokens,
        turns=turns,
        findings=findings,
        corrections=corrections,
        corrected=_corrected(plain.corrected),
        warnings=(Notice("low_match", "Only 61 % of the text was heard."),),
    )


def _corrected(text: str) -> str:
    return text.replace("Lks", "Talks").replace("step ,,", "step,")


def words_of(transcript: Transcript) -> list[tuple[ReadWord, ...]]:
    """The words of each turn in the corrected reading."""
    return words_by_turn(transcript.tokens, transcript.turns, transcript.corrections)
