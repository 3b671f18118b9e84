"""Verify the sizes and SHA-256 sums in models/README.md, or rewrite them with --write.

Run from the repository root: python scripts/models/checksums.py [--write]
"""

import hashlib
import re
import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "models"
README = MODELS / "README.md"
ROW = re.compile(r"^\| `(?P<file>[\w./]+)` \| (?P<size>[\d,]+) \| `(?P<sum>\w+)` \|$", re.MULTILINE)


def row(match: re.Match[str]) -> str:
    """The table row as it should be."""
    content = (MODELS / match["file"]).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f"| `{match['file']}` | {len(content):,} | `{digest}` |"


def main() -> int:
    text = README.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        README.write_text(ROW.sub(row, text), encoding="utf-8")
        return 0
    wrong = [match["file"] for match in ROW.finditer(text) if row(match) != match[0]]
    print("different: " + ", ".join(wrong) if wrong else "all files are as recorded")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
