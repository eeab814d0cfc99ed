"""Adapter registry. Add a library: a module ``NAME_adapter.py`` here with ADAPTER, and its environment in run.py."""

import importlib


def load(name: str):
    return importlib.import_module(f"adapters.{name}_adapter").ADAPTER()
