"""Turnwise: the right speaker turns, times, roles and names for a messy transcript.

    from pipelines import run, Options
    from pipelines import audio, supplied
    from pipelines.engines.choice import choose

    engines, notices = choose()
    recording, warnings = audio.load("segment.opus")
    transcript = run(recording, supplied.load("supplied.txt"), engines, Options())
"""
