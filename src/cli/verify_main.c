/* domicile-verify: the verifier alone, small enough for an auditor to read. */
#include "cli/verify.h"

int main(int argc, char **argv) {
  return argc < 1 ? 2 : verify_run(argc, argv, NULL);
}
