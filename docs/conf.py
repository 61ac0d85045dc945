"""
The documentation site: Sphinx reads the Markdown here, pydoctor the docstrings.

C{sphinx-build -W --keep-going docs build/site} builds it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms.post_transforms import SphinxPostTransform

import wsplug

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "wsplug"
author = "The wsplug developers"
version = release = wsplug.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.intersphinx",
    "pydoctor.sphinx_ext.build_apidocs",
]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["_build"]
# Samples in a wire format, in PHP without its opening tag, and the like.
suppress_warnings = ["misc.highlighting_failure"]

# The API reference takes the place of the page reference/api/index.
intersphinx_mapping: dict[str, Any] = {}
pydoctor_url_path = "reference/api/"
pydoctor_args = [
    f"--config={ROOT / 'pyproject.toml'}",
    f"--project-base-dir={ROOT}",
    "--html-output={outdir}/reference/api",
    str(ROOT / "src" / "wsplug"),
]

html_theme = "furo"
html_title = f"wsplug {release}"
html_show_sphinx = False
html_copy_source = False

# What stands elsewhere in the repository, where hosts look for it, and the page of the
# site that has the same.
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security-policy.md",
    "examples": "guides/examples.md",
}

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s:]+)\)")
_INCLUDE = re.compile(r"^```\{include\} (\S+\.md)\n```$", re.MULTILINE)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    """
    Include pages of the repository, and have links that leave docs/ lead to the page of
    the site that has the same.
    """
    page = Path(app.env.doc2path(docname))

    def include(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(page.parent / match[1]))
        app.env.note_dependency(str(path))
        return _redirect(path, path.read_text("utf-8"))

    source[0] = _INCLUDE.sub(include, _redirect(page, source[0]))


def _redirect(page: Path, text: str) -> str:
    """
    Rewrite the links of a page.

    @param page: where the page is, in the repository.
    @param text: what it says.
    @return: the same, with links that work in the site.
    """

    def replace(match: re.Match[str]) -> str:
        path, mark, anchor = match[2].partition("#")
        there = Path(os.path.normpath(page.parent / path))
        if not path or not there.is_relative_to(ROOT):
            return match[0]
        if there.is_relative_to(DOCS):
            return f"[{match[1]}](/{there.relative_to(DOCS)}{mark}{anchor})"
        name = there.relative_to(ROOT).as_posix()
        if name in ELSEWHERE:
            # Another page has other headings.
            return f"[{match[1]}](/{ELSEWHERE[name]})"
        if there.parent == ROOT / "examples" and there.is_dir():
            return f"[{match[1]}](/{ELSEWHERE['examples']}#{there.name})"
        # A file of the repository that is no page of the site.
        return match[1]

    return _LINK.sub(replace, text)


class _LinkedNames(SphinxPostTransform):
    """
    Links a name such as C{wsplug.interfaces} in monospace to the API reference.
    """

    default_priority = 5

    def run(self, **options: Any) -> None:
        """
        Look each name up in pydoctor's inventory.
        """
        inventory = InventoryAdapter(self.env).main_inventory
        prefix = "../" * self.env.docname.count("/")
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext()
            if not re.fullmatch(r"wsplug(\.\w+)+", name):
                continue
            if isinstance(literal.parent, nodes.reference):
                continue
            for objects in inventory.values():
                if name in objects:
                    target = nodes.reference(
                        "", "", internal=False, refuri=prefix + objects[name].uri
                    )
                    literal.replace_self(target)
                    target += literal
                    break


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Add what is above to Sphinx.
    """
    app.connect("source-read", _read)
    app.add_post_transform(_LinkedNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
