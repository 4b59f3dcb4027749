"""The documentation site: `make docs` builds it into build/docs, offline, and fails on a broken link or anchor.

Equations are Unicode text in code blocks: they read the same in an editor, on a forge and here, and need no external
script.
"""

project = "timellama"
extensions = ["myst_nb"]
nb_execution_mode = "off"  # tests/test_notebook.py runs the notebook, and its outputs are kept in it
root_doc = "index"
html_theme = "alabaster"  # comes with Sphinx; plain, and loads nothing external
html_theme_options = {
    "description": "A reproducibility benchmark harness for Time-LlaMA",
    "page_width": "1200px",
    "body_max_width": "960px",
    "fixed_sidebar": True,
    "show_powered_by": False,
}
html_static_path = ["style"]
html_css_files = ["plain.css"]
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 3  # links may name headings down to this level, by the anchors that forges give them
highlight_language = "text"
nitpicky = True
# Reports in folders below docs/ are pages that others link to; tests/test_docs.py checks that each page beside this
# file is in the navigation.
suppress_warnings = ["toc.not_included"]
