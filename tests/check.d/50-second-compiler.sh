# The whole tree with clang, warnings as errors.
layer_begin "second compiler"
if CC=clang CXX=clang++ configure build/clang && ninja -C build/clang >build/check/clang.log 2>&1; then ok; else
  tail -n 40 build/check/clang.log
  bad "build with clang"
fi
layer_end
