"""What each command is called, which options it has, and its help; what it does is loaded when it runs.

A module for each topic. ``cosemic.cli.app`` puts them together.
"""
