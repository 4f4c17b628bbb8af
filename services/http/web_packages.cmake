# The libraries of the dashboard, as npm publishes them. They are fetched when a build tree is configured for the first
# time, known by their hashes, and become part of the binary; nothing of them is in the tree or needed where it runs.

set(TASK_RUNNER_NPM_REGISTRY "" CACHE STRING
    "npm registry the dashboard's libraries come from; by default npm's own setting, else https://registry.npmjs.org")
set(TASK_RUNNER_WEB_PACKAGES "" CACHE PATH
    "Folder with the packages of the dashboard's libraries, for builds without a network; nothing is fetched then")

# NAME VERSION HASH: what `npm view NAME@VERSION dist.integrity` says, in hexadecimal.
set(tr_web_packages
    "preact 11.2.0 fc77c723fecdf387ba1ab581277276f34cf798b6912620dc4af8ff03ecbfe006cb9cd0ffd549461ded6c47aa18b931b021dd273fb76a0d4f4e9cbc4c3d9ef106"
    "htm 3.1.1 f7cdd5ca0f0dc1413b26467a3663aaa4267eb21d5b2afda2613954933956980e490f669c2a8c5de0a5716cc9b15fff399ad7dd9c399316834a720e43180bf135"
    "uplot 1.6.32 2883159c6ebccefbb95d751b0b82d010f9e1c0ec41b8bc96d401eda66e882935c89a46cb824332fa369b8cb8122cc6ac36e186cd09bf7a9ded3a4c93c6989023"
    "ansi_up 6.0.6 c886b5c7711c7fc8d63f851612e9cd8ea357ea0cc4e2f836806cfec6a44663e4c14ae727629e9145d3d5e1bae6b60e9b4359630f8f266798864848fb404a5128")

# How often a package is tried, and how long one try may take.
set(tr_web_package_tries 3)
set(tr_web_package_timeout_s 120)

# tr_web_package_holds(RESULT FILE HASH): whether the file is there and is what it should be.
function(tr_web_package_holds result file hash)
  set(${result} FALSE PARENT_SCOPE)
  if(EXISTS ${file})
    file(SHA512 ${file} found)
    if(found STREQUAL hash)
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

# tr_web_package_by_npm(FOLDER NAME VERSION RESULT): npm knows the registry, the proxy, the certificates and the
# credentials that its user has set. RESULT is what went wrong; empty when nothing did.
function(tr_web_package_by_npm folder name version result)
  set(registry "")
  if(TASK_RUNNER_NPM_REGISTRY)
    set(registry --registry ${TASK_RUNNER_NPM_REGISTRY})
  endif()
  execute_process(
    COMMAND ${TASK_RUNNER_NPM} pack --loglevel error --pack-destination ${folder} ${registry} ${name}@${version}
    WORKING_DIRECTORY ${folder} TIMEOUT ${tr_web_package_timeout_s}
    RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE said)
  if(code EQUAL 0)
    set(${result} "" PARENT_SCOPE)
  else()
    string(STRIP "${said}" said)
    set(${result} "npm pack ended with ${code}: ${said}" PARENT_SCOPE)
  endif()
endfunction()

# tr_web_package_by_download(FOLDER NAME VERSION RESULT): the same where there is no npm.
function(tr_web_package_by_download folder name version result)
  set(registry "${TASK_RUNNER_NPM_REGISTRY}")
  if(NOT registry)
    set(registry "$ENV{npm_config_registry}")
  endif()
  if(NOT registry)
    set(registry https://registry.npmjs.org)
  endif()
  string(REGEX REPLACE "/+$" "" registry "${registry}")
  set(address ${registry}/${name}/-/${name}-${version}.tgz)
  file(DOWNLOAD ${address} ${folder}/${name}-${version}.tgz TIMEOUT ${tr_web_package_timeout_s} TLS_VERIFY ON STATUS status)
  list(GET status 0 code)
  list(GET status 1 said)
  if(code EQUAL 0)
    set(${result} "" PARENT_SCOPE)
  else()
    set(${result} "${address}: ${said}" PARENT_SCOPE)
  endif()
endfunction()

# tr_web_package_fetch(FOLDER NAME VERSION HASH): puts the package into the folder, in one step once it is whole, so that
# builds beside each other do not meet half of it.
function(tr_web_package_fetch folder name version hash)
  find_program(TASK_RUNNER_NPM npm DOC "npm, which fetches the dashboard's libraries; without it CMake does")
  mark_as_advanced(TASK_RUNNER_NPM)
  string(RANDOM LENGTH 12 mark)
  set(place ${folder}/.${mark})
  set(file ${name}-${version}.tgz)
  set(problem "")
  foreach(try RANGE 1 ${tr_web_package_tries})
    file(MAKE_DIRECTORY ${place})
    if(TASK_RUNNER_NPM)
      tr_web_package_by_npm(${place} ${name} ${version} problem)
    else()
      tr_web_package_by_download(${place} ${name} ${version} problem)
    endif()
    tr_web_package_holds(whole ${place}/${file} ${hash})
    if(whole)
      file(RENAME ${place}/${file} ${folder}/${file})
      file(REMOVE_RECURSE ${place})
      return()
    endif()
    if(NOT problem)
      set(problem "what arrived has another hash than ${file} should have")
    endif()
    file(REMOVE_RECURSE ${place})
  endforeach()
  message(FATAL_ERROR
    "The dashboard needs ${name} ${version} from an npm registry, and it could not be fetched in ${tr_web_package_tries} tries.\n"
    "${problem}\n"
    "Either let this machine reach a registry (-DTASK_RUNNER_NPM_REGISTRY=URL names another one; so does npm's own "
    "setting), or fetch the packages elsewhere with `npm pack ${name}@${version}` and so on, put the .tgz files "
    "into a folder, and name it with -DTASK_RUNNER_WEB_PACKAGES=FOLDER.")
endfunction()

# tr_web_package(NAME VERSION HASH PLACE): unpacks the package into PLACE. Packages are kept where all build trees find them.
function(tr_web_package name version hash place)
  if(TASK_RUNNER_WEB_PACKAGES)
    set(folder ${TASK_RUNNER_WEB_PACKAGES})
    tr_web_package_holds(whole ${folder}/${name}-${version}.tgz ${hash})
    if(NOT whole)
      message(FATAL_ERROR
        "TASK_RUNNER_WEB_PACKAGES is ${folder}, but ${name}-${version}.tgz is not there, or is another one than npm "
        "published. `npm pack ${name}@${version}` in that folder makes it.")
    endif()
  else()
    set(folder "$ENV{XDG_CACHE_HOME}")
    if(NOT folder)
      set(folder "$ENV{HOME}/.cache")
    endif()
    if(NOT IS_ABSOLUTE "${folder}")
      set(folder ${CMAKE_BINARY_DIR}/cache)
    endif()
    set(folder ${folder}/task-runner/web-packages)
    tr_web_package_holds(whole ${folder}/${name}-${version}.tgz ${hash})
    if(NOT whole)
      message(STATUS "Fetching ${name} ${version} for the dashboard")
      tr_web_package_fetch(${folder} ${name} ${version} ${hash})
    endif()
  endif()
  file(ARCHIVE_EXTRACT INPUT ${folder}/${name}-${version}.tgz DESTINATION ${place})
endfunction()

# tr_web_file(FILE TEXT): writes it, unless it is so already: what has not changed is not built anew. Hints at source maps,
# which are not served, go.
function(tr_web_file file text)
  string(REGEX REPLACE "\n//# sourceMappingURL=[^\n]*" "" text "${text}")
  set(before "")
  if(EXISTS ${file})
    file(READ ${file} before)
  endif()
  if(NOT EXISTS ${file} OR NOT text STREQUAL before)
    file(WRITE ${file} "${text}")
  endif()
endfunction()

# What the pages load, as modules that name each other by relative paths: htm-preact.js has Preact, its hooks and htm's
# `html` in one, uplot.js is uPlot's minified script with an export, and licences.txt is of all of them.
set(tr_web_vendor_files htm-preact.js preact.js preact-hooks.js htm.js uplot.js uplot.css ansi-up.js licences.txt)

# tr_web_vendor_is_there(RESULT FOLDER RECIPE): whether all of it was made by the very recipe.
function(tr_web_vendor_is_there result folder recipe)
  set(${result} FALSE PARENT_SCOPE)
  foreach(file IN LISTS tr_web_vendor_files)
    if(NOT EXISTS ${folder}/${file})
      return()
    endif()
  endforeach()
  if(EXISTS ${folder}/../made_with)
    file(READ ${folder}/../made_with made_with)
    if(made_with STREQUAL recipe)
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

# tr_web_vendor(FOLDER): puts tr_web_vendor_files into the folder.
function(tr_web_vendor folder)
  get_filename_component(unpacked ${folder} DIRECTORY)
  # What is there needs neither the packages nor a network again.
  file(SHA512 ${CMAKE_CURRENT_FUNCTION_LIST_FILE} recipe)
  tr_web_vendor_is_there(made ${folder} ${recipe})
  if(made)
    return()
  endif()
  set(licences "The dashboard contains these libraries, under these licences.\n")
  foreach(row IN LISTS tr_web_packages)
    separate_arguments(parts UNIX_COMMAND "${row}")
    list(GET parts 0 name)
    list(GET parts 1 version)
    list(GET parts 2 hash)
    set(place ${unpacked}/${name})
    file(REMOVE_RECURSE ${place})
    tr_web_package(${name} ${version} ${hash} ${place})
    file(READ ${place}/package/LICENSE licence)
    string(APPEND licences "\n\n==== ${name} ${version}\n\n${licence}")
  endforeach()
  tr_web_file(${folder}/licences.txt "${licences}")

  file(READ ${unpacked}/preact/package/dist/preact.mjs preact)
  tr_web_file(${folder}/preact.js "${preact}")
  file(READ ${unpacked}/preact/package/hooks/dist/hooks.mjs hooks)
  string(REPLACE "from\"preact\"" "from\"./preact.js\"" hooks "${hooks}")
  tr_web_file(${folder}/preact-hooks.js "${hooks}")
  file(READ ${unpacked}/htm/package/dist/htm.module.js htm)
  tr_web_file(${folder}/htm.js "${htm}")
  tr_web_file(${folder}/htm-preact.js "// Preact, its hooks and htm as one module; made by services/http/web_packages.cmake.
import { h } from './preact.js';
import htm from './htm.js';

export * from './preact.js';
export * from './preact-hooks.js';
export const html = htm.bind(h);
")
  file(READ ${unpacked}/uplot/package/dist/uPlot.iife.min.js uplot)
  tr_web_file(${folder}/uplot.js "${uplot}\nexport default uPlot;\n")
  file(READ ${unpacked}/uplot/package/dist/uPlot.min.css uplot_style)
  tr_web_file(${folder}/uplot.css "${uplot_style}")
  file(READ ${unpacked}/ansi_up/package/ansi_up.js ansi_up)
  tr_web_file(${folder}/ansi-up.js "${ansi_up}")
  file(WRITE ${unpacked}/made_with ${recipe})
endfunction()
