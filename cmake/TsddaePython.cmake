# SPDX-License-Identifier: GPL-3.0-or-later
#
# The chosen interpreter, pybind11 for it, and where its packages go:
#
#   PYTHON_EXECUTABLE   what -DPython3_EXECUTABLE or -DPYTHON_EXECUTABLE said, else the
#                       interpreter GNU Radio was built for
#   TSDDAE_PYTHON_DIR   site-packages below the install prefix, relative to it

if(TSDDAE_PYTHON)
    set(PYTHON_EXECUTABLE "${TSDDAE_PYTHON}")
endif()
# The names under which newer versions of CMake and pybind11 look for it.
set(Python_EXECUTABLE "${PYTHON_EXECUTABLE}")
set(Python3_EXECUTABLE "${PYTHON_EXECUTABLE}")

# Modules made with pybind11 versions of different internals do not see each other's
# classes ("unknown base type"), so it must be the one GNU Radio was built with: the
# system's, where there is one. One installed by pip is known to its interpreter only.
find_package(pybind11 2.9 QUIET)
if(NOT pybind11_FOUND)
    execute_process(
        COMMAND "${PYTHON_EXECUTABLE}" -m pybind11 --cmakedir
        OUTPUT_VARIABLE TSDDAE_PYBIND11_DIR
        OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_package(pybind11 2.9 REQUIRED HINTS "${TSDDAE_PYBIND11_DIR}")
endif()

# The interpreter's own directory when it is below the prefix (a virtual environment,
# Debian's dist-packages), else the usual place below the prefix.
execute_process(
    COMMAND
        "${PYTHON_EXECUTABLE}" -c
        "
import os, sys, sysconfig
prefix = os.path.realpath(sys.argv[1])
path = sysconfig.get_path('platlib')
if os.path.commonpath([prefix, os.path.realpath(path)]) != prefix:
    base = {'base': prefix, 'platbase': prefix}
    scheme = 'venv' if 'venv' in sysconfig.get_scheme_names() else 'posix_prefix'
    path = sysconfig.get_path('platlib', scheme, base)
print(os.path.relpath(os.path.realpath(path), prefix))
"
        "${CMAKE_INSTALL_PREFIX}"
    OUTPUT_VARIABLE TSDDAE_PYTHON_DIR
    OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE TSDDAE_PYTHON_FAILED)
if(TSDDAE_PYTHON_FAILED)
    message(FATAL_ERROR "${PYTHON_EXECUTABLE} does not run: pass a working one with "
                        "-DPython3_EXECUTABLE=...")
endif()
