"""Reads transcripts: lines of hexadecimal, `>` from us, `<` from the meter, `#` a comment."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "transcripts"


def read_transcript(name: str) -> list[tuple[str, bytes]]:
    """Return the frames of a transcript with their direction, in order."""
    frames = []
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text:
            frames.append((text[0], bytes.fromhex(text[1:])))
    return frames


def transcript_names() -> list[str]:
    """Return the names of all transcripts."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))
