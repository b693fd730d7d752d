/* The 249 officially assigned codes of ISO 3166-1 alpha-2 (as of 2024; reserved and user-assigned
 * codes such as UK, EU, XK and ZZ are none). Sorted, two letters each. */
#include "charter/iso3166.h"

#include <assert.h>
#include <string.h>

#include "charter/charter.h"

static const char codes[] = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBI"
                            "BJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCN"
                            "COCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFK"
                            "FMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHM"
                            "HNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKN"
                            "KPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMK"
                            "MLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONP"
                            "NRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURW"
                            "SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTF"
                            "TGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVI"
                            "VNVUWFWSYEYTZAZMZW";

_Static_assert(sizeof codes == 2 * (size_t)ISO3166_COUNT + 1, "every code has two letters");

bool iso3166_find(struct slice code, uint8_t *out_index) {
  assert(out_index != NULL);
  if (code.len != 2) return false;
  unsigned low = 0, high = ISO3166_COUNT;
  while (low < high) {
    unsigned middle = (low + high) / 2;
    int order = memcmp(codes + 2 * (size_t)middle, code.data, 2);
    if (order == 0) {
      *out_index = (uint8_t)middle;
      return true;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

void iso3166_code(uint8_t index, char out_code[ISO3166_CODE_SIZE]) {
  assert(index < ISO3166_COUNT);
  memcpy(out_code, codes + 2 * (size_t)index, 2);
  out_code[2] = 0;
}

bool charter_country_valid(const char *country) {
  assert(country != NULL);
  uint8_t index;
  return iso3166_find(slice_str(country), &index);
}
