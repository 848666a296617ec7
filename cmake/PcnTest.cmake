# SPDX-License-Identifier: Apache-2.0
# pcn_add_test(<name> SOURCES <file>... LINK <target>...): a CUnit executable that ctest runs.
# It finds the build tree by PCN_BUILD_DIR and the sources by PCN_SOURCE_DIR.
function(pcn_add_test name)
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK" ${ARGN})
    if(NOT PCN_TESTS)
        return()
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE pcn-flags PkgConfig::CUNIT ${ARG_LINK})
    set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    target_compile_definitions(${name} PRIVATE PCN_BUILD_DIR="${CMAKE_BINARY_DIR}" PCN_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME ${name} COMMAND ${name})
    # 77: every test of the executable was skipped, by a probe that printed the reason.
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# pcn_record_frames(<test>...): what its programs are given, and what leaves them, goes to $PCN_FRAMES/<test>.{in,out}.pcap;
# there tshark looks at it, in the test checksums_<test>.
set(PCN_FRAMES_DIRECTORY ${CMAKE_BINARY_DIR}/frames CACHE INTERNAL "where frames of tests are recorded")
function(pcn_record_frames)
    if(NOT PCN_TESTS)
        return()
    endif()
    file(MAKE_DIRECTORY ${PCN_FRAMES_DIRECTORY})
    foreach(name IN LISTS ARGN)
        set_tests_properties(${name} PROPERTIES FIXTURES_SETUP ${name} ENVIRONMENT "PCN_FRAMES=${PCN_FRAMES_DIRECTORY}")
        add_test(NAME checksums_${name}
            COMMAND ${CMAKE_SOURCE_DIR}/tests/harness/checksums.sh ${PCN_FRAMES_DIRECTORY} ${name})
        set_tests_properties(checksums_${name} PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED ${name})
    endforeach()
endfunction()
