/* YAML in: header, registrars, regions, subjects, classes. Rules are read by rules.c. */
#include <assert.h>

#include "base/alloc.h"
#include "charter/model.h"

enum {
  ORGANIZATION_BYTES_MAX = 128, /* a company's name */
  ENDPOINT_BYTES_MAX = 255      /* a DNS name's limit, RFC 1035 §2.3.4 */
};
/* Versions pass through JSON, whose numbers are exact up to here. */
#define VERSION_MAX ((UINT64_C(1) << 53) - 1)

struct sections {
  uint64_t version;
  const char *organization;
  const struct yaml_node *registrars, *regions, *subjects, *classes, *rules;
};

static const struct yaml_field section_fields[] = {
    {"charter", YAML_AS_U64, true, offsetof(struct sections, version), 1, VERSION_MAX, NULL},
    {"organization", YAML_AS_STRING, true, offsetof(struct sections, organization), 1, ORGANIZATION_BYTES_MAX,
     NULL},
    {"registrars", YAML_AS_LIST, true, offsetof(struct sections, registrars), 0, 0, NULL},
    {"regions", YAML_AS_MAP, true, offsetof(struct sections, regions), 0, 0, NULL},
    {"subjects", YAML_AS_MAP, false, offsetof(struct sections, subjects), 0, 0, NULL},
    {"classes", YAML_AS_MAP, true, offsetof(struct sections, classes), 0, 0, NULL},
    {"rules", YAML_AS_MAP, true, offsetof(struct sections, rules), 0, 0, NULL},
};

struct region_texts {
  uint64_t number;
  const char *jurisdiction, *endpoint, *vkey;
};

static const struct yaml_field region_fields[] = {
    {"number", YAML_AS_U64, true, offsetof(struct region_texts, number), 1, UINT16_MAX, NULL},
    {"jurisdiction", YAML_AS_STRING, true, offsetof(struct region_texts, jurisdiction), 2, 2, NULL},
    {"endpoint", YAML_AS_STRING, true, offsetof(struct region_texts, endpoint), 1, ENDPOINT_BYTES_MAX, NULL},
    {"vkey", YAML_AS_STRING, true, offsetof(struct region_texts, vkey), 1, VKEY_BYTES_MAX, NULL},
};

static bool is_digit(uint8_t c) {
  return c >= '0' && c <= '9';
}

static bool is_lower(uint8_t c) {
  return c >= 'a' && c <= 'z';
}

/* Names stand in clause paths, file names and host names: a small alphabet. */
static enum dom_code check_name(const struct charter *c, const struct yaml_node *at, struct dom_err *err) {
  struct slice name = at->key;
  bool good = name.len <= CHARTER_NAME_BYTES_MAX && is_lower(name.data[0]);
  for (size_t i = 0; i < name.len && good; i++)
    good = is_lower(name.data[i]) || is_digit(name.data[i]) || name.data[i] == '-';
  assert(name.len > 0);
  if (good) return DOM_OK;
  return yaml_fail_key(
      c->doc, at, err,
      "\"%s\" is not a name: a letter, then letters, digits and -, all lower case, at most %d",
      yaml_show(name).text, CHARTER_NAME_BYTES_MAX);
}

static bool port_valid(struct slice port) {
  uint64_t value;
  return port.len > 0 && port.len <= 5 && port.data[0] != '0' && slice_to_u64(port, &value) == DOM_OK &&
         value <= UINT16_MAX;
}

static bool host_byte(uint8_t c, bool ipv6) {
  if (is_digit(c) || (c >= 'a' && c <= 'f') || c == '.') return true;
  return ipv6 ? c == ':' || (c >= 'A' && c <= 'F') : is_lower(c) || (c >= 'A' && c <= 'Z') || c == '-';
}

/* RFC 3986 §3.2 without user and path: requests keep the path and query their client signed. */
static bool endpoint_valid(struct slice s) {
  struct slice https = SLICE_LIT("https://"), http = SLICE_LIT("http://");
  if (!slice_starts_with(s, https) && !slice_starts_with(s, http)) return false;
  s = slice_cut(s, slice_starts_with(s, https) ? https.len : http.len, s.len);
  bool ipv6 = s.len > 0 && s.data[0] == '[';
  size_t begin = ipv6 ? 1 : 0;
  size_t end = slice_find(s, ipv6 ? ']' : ':');
  if (end <= begin || (ipv6 && end == s.len)) return false;
  for (size_t i = begin; i < end; i++)
    if (!host_byte(s.data[i], ipv6)) return false;
  size_t behind = ipv6 ? end + 1 : end;
  assert(behind <= s.len);
  if (behind == s.len) return true;
  return s.data[behind] == ':' && port_valid(slice_cut(s, behind + 1, s.len));
}

static enum dom_code read_vkey(const struct charter *c, const struct yaml_node *at,
                               struct charter_region *region, struct dom_err *err) {
  struct charter_vkey vkey;
  struct dom_err why = {0};
  enum dom_code code = charter_vkey_parse(at->text, &vkey, &why);
  if (code == DOM_NO_MEMORY) return dom_fail(err, code, "charter/parse", "out of memory");
  if (code != DOM_OK) return yaml_fail(c->doc, at, err, "not a verifier key: %s", why.text);
  assert(vkey.name.len > 0);
  region->vkey_id = vkey.id;
  memcpy(region->public_key, vkey.public_key, sizeof vkey.public_key);
  return DOM_OK;
}

/* Numbers, addresses and keys tell regions apart, so no two regions share one. */
static enum dom_code check_unique(const struct charter *c, const struct yaml_node *at,
                                  const struct charter_region *region, struct dom_err *err) {
  assert(region->name != NULL);
  for (unsigned i = 0; i < c->region_count; i++) {
    const struct charter_region *other = &c->regions[i];
    const char *same = NULL;
    if (other->number == region->number)
      same = "number";
    else if (strcmp(other->endpoint, region->endpoint) == 0)
      same = "endpoint";
    else if (memcmp(other->public_key, region->public_key, ED25519_KEY_SIZE) == 0)
      same = "vkey";
    else if (strcmp(other->vkey_name, region->vkey_name) == 0)
      same = "vkey";
    if (same)
      return yaml_fail(c->doc, yaml_get(at, same), err, "region %s has the same %s%s", other->name, same,
                       strcmp(same, "vkey") == 0 ? " name or key" : "");
  }
  return DOM_OK;
}

/* The name part of a vkey as a string of its own: it lives in the charter's block of names. */
static const char *vkey_name(struct charter *c, const char *vkey) {
  char *name = c->vkey_names[c->region_count];
  size_t len = slice_find(slice_str(vkey), '+');
  assert(len < sizeof c->vkey_names[0]);
  memcpy(name, vkey, len);
  name[len] = 0;
  return name;
}

static enum dom_code read_region(struct charter *c, const struct yaml_node *at, struct dom_err *err) {
  if (c->region_count == CHARTER_REGIONS_MAX)
    return yaml_fail_key(c->doc, at, err, "more than %d regions", CHARTER_REGIONS_MAX);
  enum dom_code code = check_name(c, at, err);
  if (code != DOM_OK) return code;
  struct region_texts texts = {0};
  code =
      yaml_read_map(c->doc, at, region_fields, sizeof region_fields / sizeof region_fields[0], &texts, err);
  if (code != DOM_OK) return code;
  struct charter_region *region = &c->regions[c->region_count];
  const struct yaml_node *place = yaml_get(at, "jurisdiction");
  if (!iso3166_find(place->text, &c->region_jurisdiction[c->region_count]))
    return yaml_fail(c->doc, place, err, "\"%s\" is not an assigned code of ISO 3166-1 alpha-2",
                     yaml_show(place->text).text);
  if (!endpoint_valid(slice_str(texts.endpoint)))
    return yaml_fail(c->doc, yaml_get(at, "endpoint"), err,
                     "an endpoint is http:// or https://, a host, an optional port, and nothing behind");
  *region = (struct charter_region){.number = (uint16_t)texts.number,
                                    .name = (const char *)at->key.data,
                                    .endpoint = texts.endpoint,
                                    .vkey = texts.vkey};
  iso3166_code(c->region_jurisdiction[c->region_count], region->jurisdiction);
  code = read_vkey(c, yaml_get(at, "vkey"), region, err);
  if (code != DOM_OK) return code;
  region->vkey_name = vkey_name(c, texts.vkey);
  code = check_unique(c, at, region, err);
  if (code == DOM_OK) c->region_count++;
  return code;
}

static enum dom_code read_regions(struct charter *c, const struct yaml_node *regions, struct dom_err *err) {
  assert(c->region_count == 0);
  if (regions->count == 0) return yaml_fail(c->doc, regions, err, "no region");
  for (const struct yaml_node *n = regions->first; n; n = n->next) {
    enum dom_code code = read_region(c, n, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

static enum dom_code read_registrars(struct charter *c, const struct yaml_node *list, struct dom_err *err) {
  assert(c->region_count > 0);
  if (list->count == 0) return yaml_fail(c->doc, list, err, "no registrar");
  for (const struct yaml_node *n = list->first; n; n = n->next) {
    enum dom_code code = yaml_expect(c->doc, n, YAML_TEXT, err);
    if (code != DOM_OK) return code;
    unsigned index;
    if (!model_region_named(c, n->text, &index))
      return yaml_fail(c->doc, n, err, "\"%s\" is no region of this charter", yaml_show(n->text).text);
    code = clause_check(c, n, n == list->first ? "registrars" : "registrars.further", err);
    if (code != DOM_OK) return code;
    c->registrar = index;
  }
  return DOM_OK;
}

static enum dom_code read_subjects(struct charter *c, const struct yaml_node *subjects, struct dom_err *err) {
  const char *unregistered = "refuse";
  const struct yaml_field field = {"unregistered", YAML_AS_STRING, false, 0, 1, CHARTER_NAME_BYTES_MAX, NULL};
  enum dom_code code = yaml_read_map(c->doc, subjects, &field, 1, &unregistered, err);
  if (code != DOM_OK || subjects->count == 0) return code;
  assert(subjects->first != NULL);
  bool refuse = strcmp(unregistered, "refuse") == 0;
  return clause_check(c, subjects->first,
                      refuse ? "subjects.unregistered.refuse" : "subjects.unregistered.home", err);
}

static enum dom_code check_globs(const struct charter *c, const struct yaml_node *globs,
                                 struct dom_err *err) {
  assert(globs->kind == YAML_LIST);
  if (globs->count == 0) return yaml_fail(c->doc, globs, err, "no key pattern; leave `keys` out instead");
  if (globs->count > CHARTER_GLOBS_MAX)
    return yaml_fail(c->doc, globs, err, "more than %d key patterns", CHARTER_GLOBS_MAX);
  for (const struct yaml_node *n = globs->first; n; n = n->next) {
    enum dom_code code = yaml_expect(c->doc, n, YAML_TEXT, err);
    if (code != DOM_OK) return code;
    const char *why;
    if (!glob_valid(n->text, &why)) return yaml_fail(c->doc, n, err, "%s", why);
  }
  return DOM_OK;
}

static enum dom_code read_class(struct charter *c, const struct yaml_node *at, struct dom_err *err) {
  static const char *const rule_keys[] = {"home", "leave"}; /* would be ambiguous inside a rule */
  if (c->class_count == CHARTER_CLASSES_MAX)
    return yaml_fail_key(c->doc, at, err, "more than %d classes", CHARTER_CLASSES_MAX);
  enum dom_code code = check_name(c, at, err);
  if (code != DOM_OK) return code;
  for (size_t i = 0; i < sizeof rule_keys / sizeof rule_keys[0]; i++)
    if (slice_equal(at->key, slice_str(rule_keys[i])))
      return yaml_fail_key(c->doc, at, err, "\"%s\" is a word of rules, not a class", rule_keys[i]);
  struct charter_class *class = &c->classes[c->class_count];
  const struct yaml_field field = {"keys", YAML_AS_LIST, false, offsetof(struct charter_class, globs), 0,
                                   0,      NULL};
  *class = (struct charter_class){.name = (const char *)at->key.data};
  code = yaml_read_map(c->doc, at, &field, 1, class, err);
  if (code != DOM_OK) return code;
  assert(class->name != NULL);
  if (class->globs) {
    code = clause_check(c, class->globs, "classes.*.keys", err);
    if (code == DOM_OK) code = check_globs(c, class->globs, err);
    if (code != DOM_OK) return code;
    if (!at->next)
      return yaml_fail_key(c->doc, at, err, "the last class takes the keys that are left: it has no `keys`");
  } else if (at->next) {
    return yaml_fail_key(c->doc, at, err,
                         "only the last class, which takes the keys that are left, has no `keys`");
  }
  c->class_count++;
  return DOM_OK;
}

static enum dom_code read_classes(struct charter *c, const struct yaml_node *classes, struct dom_err *err) {
  assert(c->class_count == 0);
  if (classes->count == 0) return yaml_fail(c->doc, classes, err, "no class");
  for (const struct yaml_node *n = classes->first; n; n = n->next) {
    enum dom_code code = read_class(c, n, err);
    if (code != DOM_OK) return code;
  }
  return DOM_OK;
}

static enum dom_code check_organization(const struct charter *c, const struct yaml_node *at,
                                        struct dom_err *err) {
  assert(at->kind == YAML_TEXT);
  for (size_t i = 0; i < at->text.len; i++)
    if (at->text.data[i] < 0x20 || at->text.data[i] == 0x7f)
      return yaml_fail(c->doc, at, err, "a control character in the organization's name");
  return DOM_OK;
}

static enum dom_code read_sections(struct charter *c, struct dom_err *err) {
  assert(c->doc != NULL);
  const struct yaml_node *root = yaml_root(c->doc);
  struct sections s = {0};
  enum dom_code code =
      yaml_read_map(c->doc, root, section_fields, sizeof section_fields / sizeof section_fields[0], &s, err);
  if (code != DOM_OK) return code;
  c->version = s.version;
  c->organization = s.organization;
  code = check_organization(c, yaml_get(root, "organization"), err);
  if (code == DOM_OK) code = read_regions(c, s.regions, err);
  if (code == DOM_OK) code = read_registrars(c, s.registrars, err);
  if (code == DOM_OK && s.subjects) code = read_subjects(c, s.subjects, err);
  if (code == DOM_OK) code = read_classes(c, s.classes, err);
  if (code == DOM_OK) code = rules_read(c, s.rules, err);
  return code;
}

static void charter_cleanup(struct charter **c) {
  assert(c != NULL);
  charter_release(*c);
}

enum dom_code charter_parse(struct slice bytes, const char *file, struct charter **out_charter,
                            struct dom_err *err) {
  assert(file != NULL && out_charter != NULL);
  if (bytes.len > CHARTER_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "charter/parse", "%s: %zu bytes, a charter has at most %d", file,
                    bytes.len, CHARTER_BYTES_MAX);
  __attribute__((cleanup(charter_cleanup))) struct charter *c = dom_calloc(1, sizeof *c);
  if (!c) return dom_fail(err, DOM_NO_MEMORY, "charter/parse", "out of memory");
  atomic_init(&c->references, 1);
  buf_append_slice(&c->bytes, bytes);
  enum dom_code code = buf_check(&c->bytes, err);
  if (code == DOM_OK) code = yaml_load(bytes, file, &c->doc, err);
  if (code == DOM_OK) code = read_sections(c, err);
  if (code != DOM_OK) return code;
  *out_charter = c;
  c = NULL;
  return DOM_OK;
}
