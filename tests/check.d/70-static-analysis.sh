# Form and defects that a compiler does not see.
layer_begin "static analysis"
step "clang-format" sh -c 'git ls-files "*.c" "*.h" | xargs clang-format --dry-run --Werror'
step "banned functions" sh -c '! git grep -nE "\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|gets)\(" -- "src/*.c" "tools/*.c"'
step "bare rename" sh -c '! git grep -nE "\brename(at)?\(" -- "src/*.c" ":!src/base/disk_posix.c"'
step "cppcheck" cppcheck --quiet --inline-suppr --error-exitcode=1 --enable=warning,portability --suppress=missingIncludeSystem \
  --suppress=nullPointerRedundantCheck --std=c11 -Isrc -Iinclude src
layer_end
