"""
The part of the build that pyproject.toml can't say: the hot modules, compiled
where that is possible.

Without a C compiler or Cython, or with the environment variable C{WSPLUG_PURE_BUILD}
set, the package is built without them, and says so; its wheel is a C{py3-none-any}
then.
"""

import os
import runpy
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.errors import CompileError

# Not imported: neither is the package installed yet, nor what it needs.
_BUILD = runpy.run_path("src/wsplug/build.py")


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
    if sys.platform == "win32":
        return "they need sockets as POSIX has them"
    if find_spec("Cython") is None:
        # Only without build isolation: pyproject.toml asks for it.
        return "there is no Cython"
    if not _can_compile():
        return "there is no C compiler, or no headers of Python's"
    return None


def _extensions() -> list[Extension]:
    reason = _reason_against()
    if reason is not None:
        note = f"wsplug: {reason}: building plain Python"
        print(note, file=sys.stderr)
        return []
    from Cython.Build import cythonize

    # Without auto_pickle, Cython writes no code to pickle what nobody pickles.
    common = {
        "annotation_typing": False,
        "auto_pickle": False,
        "language_level": "3",
    }
    # Information for debuggers takes a quarter of the time and most of the size. Who
    # wants it sets CFLAGS=-g.
    debugged = "-g" in os.environ.get("CFLAGS", "").split()
    arguments = [] if debugged else ["-g0"]
    # The codec's modules count and check for themselves what they index with.
    counted = {"boundscheck": False, "wraparound": False}
    extensions: list[Extension] = []
    packages = {
        "wsplug": {},
        "wsplug.codec": counted,
        "wsplug.guard": {},
        "wsplug.server": {},
        "wsplug.transport": {},
    }
    for package, directives in packages.items():
        extensions += cythonize(  # type: ignore[no-untyped-call]
            [
                Extension(
                    f"{package}.{source.stem}",
                    [str(source), _sealOf(package, source)],
                    extra_compile_args=arguments,
                )
                for source in _sources(package)
            ],
            build_dir="build/cython",
            compiler_directives={**common, **directives},
        )
    # The longest first, so that no processor waits for it at the end.
    return sorted(extensions, key=_sizeOf, reverse=True)


def _sealOf(package: str, source: Path) -> str:
    """
    Write the C file that puts the digest of a module's source into its extension
    module: C{wsplug --version} compares it with the source that is installed.
    """
    digest = _BUILD["digestOf"](f"{package}.{source.stem}")
    text = (
        "#if defined(__GNUC__)\n__attribute__((used))\n#endif\n"
        f'const char wsplug_source[] = "{_BUILD["MARK"]}{digest}";\n'
    )
    seal = Path("build", "seals", package, f"{source.stem}_seal.c")
    seal.parent.mkdir(parents=True, exist_ok=True)
    if not seal.exists() or seal.read_text(encoding="ascii") != text:
        seal.write_text(text, encoding="ascii")
    return str(seal)


def _sizeOf(extension: Extension) -> int:
    return sum(Path(source).stat().st_size for source in extension.sources)


def _sources(package: str) -> list[Path]:
    """
    Return the sources of a package that are compiled.
    """
    folder = Path("src", *package.split("."))
    suffixes = {"HOT_MODULES": ".py", "NATIVE_MODULES": ".pyx"}
    return [
        folder / f"{name.rpartition('.')[2]}{suffix}"
        for modules, suffix in suffixes.items()
        for name in _BUILD[modules]
        if name.rpartition(".")[0] == package
    ]


# One compiler for each processor.
setup(
    ext_modules=_extensions(),
    options={"build_ext": {"parallel": str(os.cpu_count() or 1)}},
)
