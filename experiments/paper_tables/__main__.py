"""Print the paper's tables, published beside computed, and write them to docs/paper-tables.md.

python -m experiments.paper_tables
"""

import argparse
from pathlib import Path

from experiments.paper_tables.page import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "paper-tables.md"


def main() -> None:
    """Print and write the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    text = page()
    print(text, end="")
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
