// The public header compiles as C++17, alone, and links.
#include "domicile/verify.h"

int main() {
  domicile_verifier *verifier = domicile_verifier_new();
  domicile_result *result = verifier ? domicile_verify_receipt(verifier, "", 0) : nullptr;
  bool good = result && domicile_result_code(result) == DOMICILE_MALFORMED &&
              domicile_verify_version() == DOMICILE_VERIFY_VERSION;
  domicile_result_free(result);
  domicile_verifier_free(verifier);
  return good ? 0 : 1;
}
