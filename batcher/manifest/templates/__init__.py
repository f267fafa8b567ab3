"""Prompts with blanks in them: vars, wildcards and dynamic prompts."""
