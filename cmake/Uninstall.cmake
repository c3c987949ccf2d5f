# SPDX-License-Identifier: GPL-3.0-or-later
#
# Removes what the last `cmake --install` of a build folder put in its places, and folders that are
# empty then.
#
#   cmake -DMANIFEST=build/install_manifest.txt -P cmake/Uninstall.cmake

if(NOT EXISTS "${MANIFEST}")
    message(STATUS "Nothing to remove: there is no ${MANIFEST}")
    return()
endif()

file(STRINGS "${MANIFEST}" files)
foreach(file IN LISTS files)
    file(REMOVE "$ENV{DESTDIR}${file}")
    get_filename_component(folder "$ENV{DESTDIR}${file}" DIRECTORY)
    list(APPEND folders "${folder}")
endforeach()

list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
    file(REMOVE_RECURSE "${folder}/__pycache__")
    while(IS_DIRECTORY "${folder}")
        file(GLOB left "${folder}/*")
        if(left)
            break()
        endif()
        file(REMOVE_RECURSE "${folder}")
        get_filename_component(folder "${folder}" DIRECTORY)
    endwhile()
endforeach()
