"""Boards: tables, charts and pages made from records."""
