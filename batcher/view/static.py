"""WIP"""
from pathlib import Path
def export(run: Path, folder: Path) -> str:
    return ""
