"""Pages: one HTML file each that needs no network, from the templates in ``page/``."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nas.recorded import write_atomically
from nas.report_data import flatten
from search_spaces import InputError

PAGE = "report.html"  # its name in every folder


class Fact(NamedTuple):
    """A key figure at the top of a page: what it is, its value, and a note in small print."""

    label: str
    value: str
    note: str = ""


def render_page(
    template: str,
    *,
    title: str,
    lead: str,
    facts: Sequence[Fact],
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    data: Mapping[str, Any],
    version: str | None = None,
    **more: Any,
) -> str:
    """Make a page; the templates escape whatever comes from files.

    ``lead`` stands below the title. ``data`` is for the page's script: ``charts``, by the id of their element.
    ``version``: the page is served, and asks its server, and no one else, for what is newer; None: it is a file, and
    asks for nothing. ``more`` is what the template takes beside what all pages have.
    """
    scripts = _scripts()
    page = _TEMPLATES.get_template(template).render(
        title=title,
        lead=lead,
        facts=facts,
        config=list(flatten(config)),
        environment=list(flatten(environment)),
        data={**data, "version": version},
        live=version is not None,
        styles=Markup(_resource("report.css")),  # ours, as are the scripts
        scripts=[Markup(script) for script in scripts],
        policy="script-src " + " ".join(_hash(script) for script in scripts),
        **more,
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # JSON and YAML can hold halves of characters


def write_page(path: Path, page: str) -> None:
    """Write a page; ``InputError`` if it cannot be written there."""
    try:
        write_atomically(path, page)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; give another file with --out") from error


def without_scripts(page: str) -> str:
    """Give a page without its scripts, which an open page has already: they are nearly all of it."""
    for script in _scripts():
        page = page.replace(script, "", 1)
    return page


@cache
def _scripts() -> tuple[str, ...]:
    return get_plotlyjs(), _resource("report.js")


def _resource(name: str) -> str:
    return (resources.files("nas") / "page" / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Name a script for the page's content security policy, which lets no other run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FunctionLoader(_resource),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
