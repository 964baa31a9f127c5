"""Files that a user gives, read with a limit on their size, and one-line errors that name the file."""

import json
from pathlib import Path
from typing import Any

from sw_model.errors import UserError

#: More than any description that this package writes has.
MAX_BYTES = 16 << 20
#: Tables within tables; what is nested deeper would end in a recursion that Python breaks off, here or where it is written again.
MAX_DEPTH = 64


def read_bytes(path: Path, what: str, remedy: str, limit: int = MAX_BYTES) -> bytes:
    """Read a file.

    Args:
        path: The file.
        what: What it is called in messages.
        remedy: What to do when it will not do.
        limit: Most bytes.

    Raises:
        UserError: When there is no such regular file, or it is larger.
    """
    if not path.is_file():
        raise UserError(f"{what} {path}", "does not exist", remedy)
    size = path.stat().st_size
    if size > limit:
        raise UserError(f"{what} {path} of {size} bytes", f"exceeds the limit of {limit} bytes", remedy)
    return path.read_bytes()


def read_text(path: Path, what: str, remedy: str, limit: int = MAX_BYTES) -> str:
    """Read a UTF-8 text; arguments as for `read_bytes`.

    Raises:
        UserError: When there is no such file, it is larger, or it is no such text.
    """
    try:
        return read_bytes(path, what, remedy, limit).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{what} {path}", f"is not UTF-8 at byte {error.start}", remedy) from None


def read_json(path: Path, what: str, remedy: str, limit: int = MAX_BYTES) -> Any:
    """Read a JSON file; arguments as for `read_bytes`.

    Raises:
        UserError: When there is no such file, it is larger, is not JSON, or is nested deeper than `MAX_DEPTH`.
    """
    text = read_text(path, what, remedy, limit)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{what} {path}", f"is not valid JSON ({error})", remedy) from None
    require_shallow(value, f"{what} {path}", remedy)
    return value


def require_shallow(value: Any, what: str, remedy: str) -> None:
    """Refuse lists and tables that are nested too deep.

    Raises:
        UserError: When they are.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        nodes = [node for node in level if isinstance(node, list | dict)]
        level = [inner for node in nodes for inner in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return
    raise UserError(what, f"is nested deeper than {MAX_DEPTH}", remedy)
