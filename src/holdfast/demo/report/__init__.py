"""The demonstration's report: facts as JSON are the source, the page is rendered from them and holds them."""

from holdfast.demo.report.render import render, write

__all__ = ["render", "write"]
