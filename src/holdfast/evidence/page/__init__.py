"""A report as people read it: a page and a PDF, drawn from the signed JSON, which both carry."""

from holdfast.evidence.page.html import page, period_page
from holdfast.evidence.page.standards import CONTROLS, Control

__all__ = ["CONTROLS", "Control", "page", "period_page"]
