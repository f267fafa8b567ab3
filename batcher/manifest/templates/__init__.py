"""Prompts with blanks in them: vars, wildcards and templates."""
