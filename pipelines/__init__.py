"""Turnwise: the right speaker turns, times, roles and names for a messy transcript.

    from pathlib import Path

    from pipelines import audio, supplied
    from pipelines.engines.choice import choose
    from pipelines.pipeline import Options, run

    engines, notices = choose()
    recording, warnings = audio.load(Path("segment.opus"))
    transcript = run(recording, supplied.load(Path("supplied.txt")), engines, Options())

Nothing is imported here, so that importing a part of this package loads no more than that part.
"""
