/* people: writes the plan and the list of subjects. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "flags.h"
#include "load.h"
#include "people.h"

/* Larger files of the machine are left out, so that the story stays short. */
#define SOURCE_BYTES_MAX (UINT64_C(128) << 10)
/* Fewer pictures are no picture of a phone: the icon theme is missing. */
#define PICTURES_MIN 300
/* Files of another kind needed before one would repeat all the time. */
#define OTHERS_MIN 10

struct writer {
  FILE *plan;
  size_t objects;
  uint64_t bytes;
  size_t pictures;
  const char *unreadable; /* what stopped us */
};

static bool write_item(void *context, struct plan_item *item) {
  struct writer *w = context;
  assert(w->plan != NULL);
  if (!content_digest(&item->content, item->sha256)) {
    w->unreadable = item->content.path;
    return false;
  }
  BUF_AUTO line = BUF_INIT;
  plan_print(item, &line);
  if (line.failed || fwrite(line.data, 1, line.len, w->plan) != line.len) return false;
  w->objects++;
  w->bytes += item->content.size_bytes;
  w->pictures += memmem(item->key.data, item->key.len, "/photos/", 8) != NULL;
  return true;
}

/* Fills the kinds with this machine's files. Returns: false without memory. */
static bool gather(struct people_config *config) {
  static const struct {
    enum people_kind kind;
    const char *root, *suffix;
  } from[] = {
      {PEOPLE_PHOTOS, "/usr/share/icons/Tango", ".png"},
      {PEOPLE_PHOTOS, "/usr/share/icons/Tango", ".svg"},
      {PEOPLE_CONTACTS, "/usr/share/iso-codes/json", ".json"},
      {PEOPLE_CONTACTS, "/usr/share/xml/iso-codes", ".xml"},
      {PEOPLE_CONTACTS, "/usr/share/locale", "/iso_3166-1.mo"},
      {PEOPLE_SMS, "/usr/share/locale", ".mo"},
      {PEOPLE_NOTES, "/usr/share/common-licenses", ""},
      {PEOPLE_NOTES, "/usr/share/doc", "/copyright"},
  };
  for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
    assert(from[i].kind < PEOPLE_KIND_COUNT);
    if (!sources_add(&config->kinds[from[i].kind], from[i].root, from[i].suffix, SOURCE_BYTES_MAX)) {
      return false;
    }
  }
  return true;
}

static int check_sources(const struct people_config *config) {
  assert(config != NULL);
  if (config->kinds[PEOPLE_PHOTOS].count < PICTURES_MIN) {
    return load_complain("only %zu pictures below /usr/share/icons/Tango, %d are needed: "
                         "install tango-icon-theme",
                         config->kinds[PEOPLE_PHOTOS].count, PICTURES_MIN);
  }
  for (int k = 0; k < PEOPLE_KIND_COUNT; k++) {
    if (config->kinds[k].count >= OTHERS_MIN) continue;
    return load_complain("too few files of this machine for %s: install iso-codes",
                         people_kind_name((enum people_kind)k));
  }
  return LOAD_OK;
}

static FILE *create_in(const char *folder, const char *name) {
  assert(folder != NULL && strchr(name, '/') == NULL);
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "%s/%s", folder, name);
  FILE *file = fopen(buf_str(&path), "we");
  if (file == NULL) load_complain("%s: %s", buf_str(&path), strerror(errno));
  return file;
}

static bool write_subject(FILE *out, const struct people_config *config, size_t index) {
  assert(out != NULL);
  char id[PEOPLE_ID_SIZE];
  people_id(config->seed, index, id);
  return fprintf(out, "%s\t%s\t%s\t%s/\n", id, people_country(index), PEOPLE_BUCKET, id) > 0 &&
         fprintf(out, "%s\t%s\t%s\tdevices/%s/\n", id, people_country(index), BACKUP_BUCKET, id) > 0;
}

static int write_files(const struct people_config *config, FILE *plan, FILE *subjects) {
  assert(plan != NULL && subjects != NULL);
  struct writer w = {.plan = plan};
  fprintf(plan, "#bucket\t%s\t%s\n#bucket\t%s\t%s\n", PEOPLE_BUCKET, PEOPLE_BUCKET_LAYOUT, BACKUP_BUCKET,
          BACKUP_BUCKET_LAYOUT);
  for (size_t i = 0; i < config->people; i++) {
    if (!people_make(config, i, write_item, &w) || !write_subject(subjects, config, i)) {
      return load_complain("the plan cannot be made: %s", w.unreadable ? w.unreadable : "writing failed");
    }
    if (atomic_load(&load_stop)) return LOAD_INTERRUPTED;
  }
  if (fflush(plan) != 0 || fflush(subjects) != 0) return load_complain("the plan cannot be written");
  printf("planned %zu people of %d countries, %zu objects, %zu pictures, %.1f MB\n", config->people,
         PEOPLE_COUNTRY_COUNT, w.objects, w.pictures, (double)w.bytes / 1e6);
  return LOAD_OK;
}

static int run(struct people_config *config, const char *folder) {
  assert(config->people > 0 && folder != NULL);
  if (!gather(config)) return load_complain("out of memory");
  int code = check_sources(config);
  if (code != LOAD_OK) return code;
  if (mkdir(folder, 0700) != 0 && errno != EEXIST) return load_complain("%s: %s", folder, strerror(errno));
  FILE *plan = create_in(folder, "plan.tsv");
  FILE *subjects = plan == NULL ? NULL : create_in(folder, "subjects.tsv");
  code = subjects == NULL ? LOAD_FAILED : write_files(config, plan, subjects);
  if (subjects != NULL) fclose(subjects);
  if (plan != NULL) fclose(plan);
  return code;
}

int cmd_people(int argc, char **argv) {
  const char *folder = NULL;
  uint64_t seed = 2014, people = 240, each = 8, heavy = 3, heavy_objects = 520, large = UINT64_C(70) << 20;
  const struct flag flags[] = {
      {"--out", "DIR", "write plan.tsv and subjects.tsv here", FLAG_STRING, true, &folder},
      {"--seed", "N", "another population (2014)", FLAG_NUMBER, false, &seed},
      {"--people", "N", "how many people (240)", FLAG_NUMBER, false, &people},
      {"--objects", "N", "objects of an ordinary person (8)", FLAG_NUMBER, false, &each},
      {"--heavy", "N", "people with many objects (3)", FLAG_NUMBER, false, &heavy},
      {"--heavy-objects", "N", "objects of each of those (520)", FLAG_NUMBER, false, &heavy_objects},
      {"--large", "SIZE", "the one large object (70MiB)", FLAG_SIZE, false, &large},
      {0}};
  const struct flag_set set = {"people", "Makes a population and its objects out of this machine's files.",
                               NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  if (people < PEOPLE_COUNTRY_COUNT * 2 || people > 1000000) {
    return flags_complain(&set, "between 10 and 1000000 people, so that each country has some");
  }
  if (large > UINT64_C(512) << 20) return flags_complain(&set, "--large is at most 512MiB");
  struct people_config config = {.seed = seed,
                                 .people = (size_t)people,
                                 .objects_each = (size_t)each,
                                 .heavy = (size_t)heavy,
                                 .heavy_objects = (size_t)heavy_objects,
                                 .large_bytes = large};
  code = run(&config, folder);
  for (int k = 0; k < PEOPLE_KIND_COUNT; k++) sources_done(&config.kinds[k]);
  return code;
}
