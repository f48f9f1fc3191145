"""What the commands print: tables and passages for people, JSON for programs.

A command imports the module that it prints with when it prints: `ralm --help` and errors are to come at once.

Decisions: docs/decisions/command-line.md.
"""
