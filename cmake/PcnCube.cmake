# SPDX-License-Identifier: Apache-2.0
# pcn_add_cube(<kind> SOURCES <file>...): libpcn-<kind>.so from <kind>.bpf.c, <kind>.yang and SOURCES,
# and its test test_<kind> where there is a test_<kind>.c.
#
# The sources get <kind>_embed.h: `<kind>_tc`, `<kind>_xdp` (objects), `<kind>_yang` (text), each with _end;
# and <kind>_model.h and <kind>_model.c from pcn-codegen.
set(PCN_CUBE_DIRECTORY ${CMAKE_BINARY_DIR}/cubes CACHE INTERNAL "where the shared objects are built")

add_custom_target(cubes COMMENT "all kinds of cubes")

function(pcn_add_cube kind)
    cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
    pcn_bpf_object(${kind}_tc.o ${kind}.bpf.c)
    pcn_bpf_object(${kind}_xdp.o ${kind}.bpf.c -DPCN_XDP)
    set(model ${CMAKE_CURRENT_BINARY_DIR}/${kind}_model)
    add_custom_command(
        OUTPUT ${model}.h ${model}.c
        COMMAND pcn-codegen types ${CMAKE_CURRENT_SOURCE_DIR}/${kind}.yang ${CMAKE_CURRENT_BINARY_DIR}
        DEPENDS pcn-codegen ${CMAKE_CURRENT_SOURCE_DIR}/${kind}.yang
        COMMENT "model of ${kind}"
        VERBATIM)
    set(header ${CMAKE_CURRENT_BINARY_DIR}/${kind}_embed.h)
    file(CONFIGURE OUTPUT ${header} @ONLY CONTENT
"#pragma once
#include <stddef.h>
extern const unsigned char @kind@_tc[], @kind@_tc_end[], @kind@_xdp[], @kind@_xdp_end[];
extern const char @kind@_yang[];
")
    add_library(pcn-${kind} MODULE ${ARG_SOURCES} ${model}.c ${model}.h)
    add_dependencies(cubes pcn-${kind})
    pcn_embed(pcn-${kind} ${kind}_tc ${CMAKE_CURRENT_BINARY_DIR}/${kind}_tc.o)
    pcn_embed(pcn-${kind} ${kind}_xdp ${CMAKE_CURRENT_BINARY_DIR}/${kind}_xdp.o)
    pcn_embed(pcn-${kind} ${kind}_yang ${CMAKE_CURRENT_SOURCE_DIR}/${kind}.yang)
    target_include_directories(pcn-${kind} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR})
    target_link_libraries(pcn-${kind} PRIVATE pcn-flags)
    set_target_properties(pcn-${kind} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PCN_CUBE_DIRECTORY})
    install(TARGETS pcn-${kind} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/polycube)
    if(PCN_TESTS AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/test_${kind}.c)
        pcn_add_test(test_${kind} SOURCES test_${kind}.c LINK pcn-harness)
        target_include_directories(test_${kind} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR})
        add_dependencies(test_${kind} pcn-${kind})
    endif()
endfunction()
