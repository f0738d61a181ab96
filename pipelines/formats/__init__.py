"""One file per format: `parse` and `serialize`, the spec named at the top."""
