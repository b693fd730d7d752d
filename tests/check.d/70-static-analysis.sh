# Form and defects that a compiler does not see.
layer_begin "static analysis"
step "clang-format" sh -c 'git ls-files "*.c" "*.h" | xargs clang-format --dry-run --Werror'
step "banned functions" sh -c '! git grep -nE "\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|gets)\(" -- "src/*.c" "tools/*.c"'
step "bare rename" sh -c '! git grep -nE "(^|[^>_a-z])rename(at)?\(" -- "src/*.c" ":!src/base/disk_posix.c"'
step cppcheck cppcheck --quiet --inline-suppr --error-exitcode=1 --enable=warning,portability -j2 \
  --suppressions-list=tools/cppcheck.supp --std=c11 -Isrc -Iinclude src
if [ $level = long ]; then
  step clang-tidy sh -c "git ls-files 'src/*.c' | xargs -P2 -n4 clang-tidy -p build --quiet"
else
  left_out+=("clang-tidy")
fi
layer_end
