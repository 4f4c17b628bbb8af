# Files of the tree become bytes of the binary: served from memory, with nothing to install beside it.

# tr_embed(TARGET NAME [FROM FOLDER [UNDER PREFIX] FILES...]...): TARGET gets the function `const asset_set& NAME_assets()`
# (declared by whoever uses it; services/http/assets.hpp says what it holds), with FILES by their paths below FOLDER, and
# PREFIX and a slash in front. The assembler takes the bytes as they are, and a file that has changed is taken anew.
function(tr_embed target name)
  set(symbols "")
  set(declarations "")
  set(entries "")
  set(paths "")
  set(number 0)
  set(folder "")
  set(prefix "")
  set(expected FROM)
  foreach(file IN LISTS ARGN)
    if(file STREQUAL FROM OR file STREQUAL UNDER)
      set(expected ${file})
      continue()
    elseif(expected STREQUAL FROM)
      set(folder ${file})
      set(prefix "")
      set(expected "")
      continue()
    elseif(expected STREQUAL UNDER)
      set(prefix ${file}/)
      set(expected "")
      continue()
    endif()
    set(path ${folder}/${file})
    if(NOT EXISTS ${path})
      message(FATAL_ERROR "tr_embed: there is no ${path} to be embedded")
    endif()
    set(symbol tr_${name}_${number})
    string(APPEND symbols
      "    \".hidden ${symbol}_begin, ${symbol}_end\\n\"\n"
      "    \".global ${symbol}_begin, ${symbol}_end\\n\"\n"
      "    \".balign 16\\n\"\n"
      "    \"${symbol}_begin: .incbin \\\"${path}\\\"\\n\"\n"
      "    \"${symbol}_end: .byte 0\\n\"\n")
    string(APPEND declarations
      "__attribute__((visibility(\"hidden\"))) extern const char ${symbol}_begin[];\n"
      "__attribute__((visibility(\"hidden\"))) extern const char ${symbol}_end[];\n")
    string(APPEND entries "      {\"${prefix}${file}\", ${symbol}_begin, ${symbol}_end},\n")
    list(APPEND paths ${path})
    math(EXPR number "${number} + 1")
  endforeach()
  set(source ${CMAKE_BINARY_DIR}/embedded/${name}_assets.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT "// Made by tr_embed (services/http/embed.cmake): the files of ${name}.
#include \"services/http/assets.hpp\"

__asm__(\".pushsection .rodata, \\\"a\\\"\\n\"
${symbols}    \".popsection\\n\");

extern \"C\" {
${declarations}}

namespace task_runner {

const asset_set& ${name}_assets();

const asset_set& ${name}_assets() {
  static const asset_set files({
${entries}  });
  return files;
}

} // namespace task_runner
")
  set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES OBJECT_DEPENDS "${paths}")
  target_sources(${target} PRIVATE ${source})
endfunction()
