# SPDX-License-Identifier: Apache-2.0
# BPF objects, compiled by clang and embedded, so that no compiler is needed at run time.
find_program(PCN_CLANG NAMES clang clang-14 REQUIRED)
find_program(PCN_LLVM_STRIP NAMES llvm-strip llvm-strip-14 REQUIRED)

set(PCN_BPF_FLAGS -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Wno-unused-function
    -Wno-address-of-packed-member -fno-stack-protector
    -I${CMAKE_SOURCE_DIR}/core/include -I${CMAKE_SOURCE_DIR}/bpf-templates
    -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
# Of the machine that the objects are built for, which is the one they run on: see PCN_STORE_RELEASE().
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
    list(APPEND PCN_BPF_FLAGS -DPCN_STORES_IN_ORDER)
endif()
if(PCN_WERROR)
    list(APPEND PCN_BPF_FLAGS -Werror)
endif()

# pcn_bpf_object(<output> <source> [<flag>...]): <output> is a file name in the current binary directory.
function(pcn_bpf_object output source)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${output})
    add_custom_command(
        OUTPUT ${object}
        COMMAND ${PCN_CLANG} ${PCN_BPF_FLAGS} ${ARGN} -I${CMAKE_CURRENT_SOURCE_DIR} -I${CMAKE_CURRENT_BINARY_DIR}
                -MD -MF ${object}.d -MT ${object} -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
        COMMAND ${PCN_LLVM_STRIP} -g ${object}
        DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source}
        DEPFILE ${object}.d
        COMMENT "BPF ${output}"
        VERBATIM)
endfunction()

# pcn_embed(<target> <symbol> <file>): bytes of <file> as `const unsigned char <symbol>[]` `<symbol>_end[]`, and `const size_t <symbol>_size`.
function(pcn_embed target symbol file)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${symbol}_embed.S)
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"    .section .rodata
    .global @symbol@
    .hidden @symbol@
    .balign 16
@symbol@:
    .incbin \"@file@\"
    .global @symbol@_end
    .hidden @symbol@_end
@symbol@_end:
1:  .byte 0
    .global @symbol@_size
    .hidden @symbol@_size
    .balign 8
@symbol@_size:
    .quad 1b - @symbol@
    .section .note.GNU-stack,\"\",@progbits
")
    set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${file})
    target_sources(${target} PRIVATE ${source})
endfunction()
