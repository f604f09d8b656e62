"""From the report's Markdown to Typst or HTML, by pandoc and the filter in report/."""

import re
import subprocess
from pathlib import Path
from typing import Literal

import pypandoc

from vaelib.publishing.cells import ExportError
from vaelib.support.paths import REPORT

# Markdown as Jupyter reads it (lists and headings need no blank line; ~, ^ and @ mean themselves),
# with pandoc's table captions and fenced blocks.
DIALECT = (
    "markdown+lists_without_preceding_blankline+autolink_bare_uris-blank_before_header"
    "-blank_before_blockquote-citations-subscript-superscript-yaml_metadata_block"
    "-pandoc_title_block-auto_identifiers-implicit_header_references-implicit_figures"
    "-example_lists-fancy_lists-definition_lists-line_blocks-inline_notes-raw_attribute"
    "-native_spans-native_divs-markdown_in_html_blocks"
)

# The template of each format, and what pandoc is told besides.
TEMPLATES = {"typst": "paper.typ", "html": "paper.html"}
OPTIONS: dict[str, tuple[str, ...]] = {
    "typst": (),
    "html": ("--mathml", "--toc", "--toc-depth=2", "--embed-resources"),
}


def convert(markdown: str, target: Literal["typst", "html"], pictures: Path) -> str:
    """The report's Markdown as a document of the target's format.

    pictures: the folder that its figures lie in. Raises ExportError, also on pandoc's warnings.
    """
    command = [pypandoc.get_pandoc_path(), "--from", DIALECT, "--to", target, "--standalone"]
    command += ["--template", REPORT / TEMPLATES[target], "--lua-filter", REPORT / "filter.lua"]
    command += ["--resource-path", pictures, "--fail-if-warnings", *OPTIONS[target]]
    pandoc = subprocess.run(command, input=markdown.encode(), capture_output=True, check=False)
    if pandoc.returncode:
        raise ExportError(_reason(pandoc.stderr.decode()))
    return pandoc.stdout.decode()


def _reason(stderr: str) -> str:
    """The line of pandoc's complaint that says what is wrong."""
    lines = [line.strip() for line in stderr.splitlines()]
    if lines and lines[0].startswith("Error running filter"):
        return lines[1]
    warning = re.search(r"\[WARNING\] (.+)", stderr)
    cause = next((line for line in lines if line.startswith("unexpected")), "")
    what = warning[1].removesuffix(", rendering as TeX:") if warning else " ".join(lines)
    return f"{what}: {cause}" if cause else what
