"""
The part of the build that pyproject.toml can't say: the codec's hot modules, compiled
where that is possible.

Without a C compiler or Cython, or with the environment variable C{WSPLUG_PURE_BUILD}
set, the package is built without them, and says so; its wheel is a C{py3-none-any}
then.
"""

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.errors import CompileError


def _can_compile() -> bool:
    """
    Try whether there are a C compiler and Python's headers.
    """
    from distutils.ccompiler import new_compiler
    from distutils.sysconfig import customize_compiler, get_python_inc

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text("#include <Python.h>\n", encoding="ascii")
        compiler = new_compiler()
        customize_compiler(compiler)
        try:
            compiler.compile(
                [str(source)], output_dir=folder, include_dirs=[get_python_inc()]
            )
        except CompileError:
            return False
    return True


def _reason_against() -> str | None:
    """
    Say why the modules can't be compiled here, if so.
    """
    if os.environ.get("WSPLUG_PURE_BUILD", "0") not in ("", "0"):
        return "WSPLUG_PURE_BUILD is set"
    if find_spec("Cython") is None:
        # Only without build isolation: pyproject.toml asks for it.
        return "there is no Cython"
    if not _can_compile():
        return "there is no C compiler, or no headers of Python's"
    return None


def _extensions() -> list[Extension]:
    reason = _reason_against()
    if reason is not None:
        note = f"wsplug: {reason}: building without the compiled codec"
        print(note, file=sys.stderr)
        return []
    from Cython.Build import cythonize

    sources = {
        "_masking": "_masking.pyx",
        "frames": "frames.py",
        "receiver": "receiver.py",
    }
    extensions: list[Extension] = cythonize(  # type: ignore[no-untyped-call]
        [
            Extension(f"wsplug.codec.{name}", [f"src/wsplug/codec/{source}"])
            for name, source in sources.items()
        ],
        build_dir="build/cython",
        compiler_directives={
            "annotation_typing": False,
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
        },
    )
    return extensions


setup(ext_modules=_extensions())
